"""Objects below an address of a bucket, by fsspec."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.files import manifest

# Scheme of an address → the extra that installs its file system.
_EXTRAS = {"s3": "s3", "gs": "gcs"}
# Settings of uploads: on two cores, parts of 8 MB reach S3 1.6 times as fast as s3fs's parts of 50 MB.
_UPLOADS: Mapping[str, Mapping[str, int]] = {"s3": {"chunksize": 8 << 20}}
_ADDRESS = re.compile(r"([a-z][a-z0-9+]+)://(.*)", re.DOTALL)


# Path("s3://a") is "s3:/a"
_MISSPELLED = re.compile(rf"({'|'.join(_EXTRAS)}):/+(.*)", re.DOTALL | re.IGNORECASE)


def is_address(text: str) -> bool:
    """Whether a text is an address, SCHEME://…, or a misspelled one, such as s3:/… and S3://…, and not a path."""
    return any(form.fullmatch(text) for form in (_ADDRESS, _MISSPELLED))


def check_address(address: str, where: str) -> tuple[str, str]:
    """The scheme of an address, and its bucket with the prefix.

    Raises:
      InputError: another scheme, or no prefix.
    """
    match = _ADDRESS.fullmatch(address)
    scheme, path = match.groups() if match else ("", "")
    parts = path.strip("/").split("/")
    if scheme not in _EXTRAS or len(parts) < 2 or not all(parts) or {".", ".."} & {*parts}:
        misspelled = _MISSPELLED.fullmatch(address)
        forms = [f"{misspelled[1].lower()}://{misspelled[2]}"] if misspelled else []
        allowed = "a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"
        raise invalid_value(where, address, allowed, choices=forms)
    return scheme, "/".join(parts)


class Store:
    """The objects of a bucket below a prefix, by their names below it.

    The libraries repeat requests that fail for a while, as when a store throttles. An error that remains is an OSError.

    Args:
      address: s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.
      where: beginning of the messages, such as "--workdir".

    Raises:
      InputError: as `check_address`; the extra is not installed.
    """

    def __init__(self, address: str, where: str) -> None:
        scheme, self._root = check_address(address, where)
        self.address = f"{scheme}://{self._root}"
        self._uploads = _UPLOADS.get(scheme, {})
        try:
            import fsspec

            self._fs: Any = fsspec.filesystem(
                scheme, use_listings_cache=False, skip_instance_cache=True
            )
        except ImportError:
            extra = _EXTRAS[scheme]
            raise InputError(
                f"{where}: {scheme}:// needs a package; run pip install 'jaxprune[{extra}]'"
            ) from None

    def facts(self, below: str = "") -> dict[str, tuple[int, str]]:
        """The size of each object, and a tag that changes with its content, by name.

        Objects whose names end with a slash are omitted: web consoles create them, empty, for empty folders.

        Args:
          below: prefix of the names, up to a slash.

        Raises:
          InputError: a name that cannot be a file of a folder.
        """
        by_name = self._listing(below)
        manifest.check_names(by_name, self.address)
        return {name: (int(facts["size"]), _tag(facts)) for name, facts in by_name.items()}

    def times(self) -> dict[str, float]:
        """The time at which each object was written, in seconds since the epoch, by name."""
        return {name: _time(facts) for name, facts in self._listing().items()}

    def _listing(self, below: str = "") -> dict[str, Mapping[str, Any]]:
        """The store's own facts about each object, by name."""
        with self._as_os_errors():
            listing = self._fs.find(f"{self._root}/{below}".rstrip("/"), detail=True)
        cut = len(self._root) + 1
        return {path.lstrip("/")[cut:]: facts for path, facts in listing.items() if path[-1] != "/"}

    def read(self, name: str) -> bytes:
        """The bytes of an object.

        Raises:
          FileNotFoundError: no such object.
        """
        with self._as_os_errors():
            return self._fs.cat_file(f"{self._root}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """Writes a small object."""
        with self._as_os_errors():
            self._fs.pipe_file(f"{self._root}/{name}", content)

    def create(self, name: str, content: bytes) -> bool:
        """Writes a small object unless it exists; returns whether it did. Atomic with conditional writes."""
        try:
            with self._as_os_errors():
                self._fs.pipe_file(f"{self._root}/{name}", content, mode="create")
        except FileExistsError:
            return False
        return True

    def upload(self, file: Path, name: str) -> None:
        """Uploads a file; the object appears when it is whole."""
        with self._as_os_errors():
            self._fs.put_file(str(file), f"{self._root}/{name}", **self._uploads)

    def download(self, names: Iterable[str], folder: Path) -> None:
        """Downloads objects to the files of the same names in a folder."""
        files = {name: folder / name for name in names}
        for file in files.values():
            file.parent.mkdir(parents=True, exist_ok=True)
        if files:
            objects = [f"{self._root}/{name}" for name in files]
            with self._as_os_errors():
                self._fs.get(objects, [*map(str, files.values())])

    def remove(self, names: Iterable[str]) -> None:
        """Removes objects; those that do not exist are ignored."""
        for name in names:
            with contextlib.suppress(FileNotFoundError), self._as_os_errors():
                self._fs.rm_file(f"{self._root}/{name}")

    @contextlib.contextmanager
    def _as_os_errors(self) -> Iterator[None]:
        """Turns errors of the store's libraries into OSErrors with the address; some are neither."""
        try:
            yield
        except FileExistsError:
            raise
        except FileNotFoundError as error:  # of a missing bucket, too, whose error does not name it
            raise FileNotFoundError(f"{self.address}: {error}") from error
        except Exception as error:
            is_described = isinstance(error, OSError) and str(error)
            message = str(error) if is_described else f"{type(error).__name__}: {error}"
            raise OSError(f"{self.address}: {message}") from error


def _time(facts: Mapping[str, Any]) -> float:
    """When an object was written; 0 if the store does not say."""
    keys = ("LastModified", "updated", "created")
    written = next((facts[key] for key in keys if facts.get(key)), 0.0)
    if isinstance(written, str):
        written = datetime.fromisoformat(written)
    return written.timestamp() if isinstance(written, datetime) else float(written)


def _tag(facts: Mapping[str, Any]) -> str:
    """The tag of an object's content, as far as the store has one."""
    keys = ("ETag", "etag", "md5Hash", "LastModified", "created")
    return str(next((facts[key] for key in keys if facts.get(key)), ""))
