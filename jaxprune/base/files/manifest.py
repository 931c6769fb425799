"""Folders that this package writes. Each contains a table of its files, which shows their owner and any change.

The table, `files.json`, has size and SHA-256 of every other file. Only the model card may change later and is in no
table: its last line has the SHA-256 of the text above it, which shows whether this package wrote it. Only files in a
table, and cards with a matching last line, are ever replaced or removed.
"""

import contextlib
import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from jaxprune.base.errors import InputError, shown
from jaxprune.base.files.outside import read_json
from jaxprune.base.files.whole import write_json

TABLE = "files.json"
CARD = "README.md"
UNFINISHED = ".jaxprune-unfinished"  # ends the name of a folder in which another one is filled
# Bytes beyond which systems refuse even to look for a file.
_LONGEST_NAME, _LONGEST_PATH = 255, 2000
DAMAGED = "damaged, its bytes are not those that were written"

FileFacts = tuple[int, str]  # size in bytes, SHA-256 in hexadecimal digits


def file_facts(path: Path) -> FileFacts:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def signed(text: str) -> str:
    """A card with an additional last line: a comment with the SHA-256 of the text above it."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text}<!-- SHA-256 of the text above, as jaxprune wrote it: {digest} -->\n"


def _is_signed_card(folder: Path, name: str) -> bool:
    """Whether a file of a folder is a card with a matching signature, see `signed`."""
    if name != CARD or not (folder / CARD).is_file():
        return False
    content = (folder / CARD).read_bytes()
    text = content[: -len(signed(""))].decode(errors="replace")
    return signed(text).encode() == content


def seal(folder: Path) -> None:
    """Completes a folder: writes the table of all its files except a signed card."""
    write_json(folder / TABLE, {name: file_facts(folder / name) for name in _foreign(folder, {})})


def table(folder: Path) -> Mapping[str, FileFacts]:
    """Path within a folder → size and SHA-256 of each file when the folder was sealed.

    Raises:
      InputError: the folder was not sealed, or the table is broken.
    """
    file = folder / TABLE
    if not file.is_file():
        raise InputError(f"{folder}: no {TABLE}; expected a folder that jaxprune wrote")
    try:
        files = msgspec.convert(read_json(file), dict[str, FileFacts])
    except msgspec.ValidationError as error:
        raise InputError(f"{file}: {error}") from None
    check_names(files, file)
    return files


def check_names(names: Iterable[str], file: Path | str) -> None:
    """Rejects names that cannot be files in the folder of the file, or at the address, that lists them.

    Raises:
      InputError: names the first one.
    """
    for name in names:
        if not _may_be_inside(name):
            raise InputError(f"{file}: broken, {shown(name)} is no file of the folder")


def _may_be_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in name:
        return False
    sizes = [len(part.encode(errors="replace")) for part in parts]
    return max(sizes) <= _LONGEST_NAME and sum(sizes) + len(sizes) <= _LONGEST_PATH


def fault(path: Path, facts: FileFacts, *, digest: bool = True) -> str | None:
    """The difference of a file from these facts, in words; None if there is none.

    Args:
      digest: whether to read the file and compare its SHA-256, or only its size.
    """
    if not path.is_file():
        return "missing"
    same = file_facts(path) == facts if digest else path.stat().st_size == facts[0]
    return None if same else DAMAGED


def faults(folder: Path, *, digests: bool = False) -> Iterator[str]:
    """A line for each file of a sealed folder that is missing, changed, or not from this package.

    Args:
      digests: see `fault`; by default only sizes are compared.
    """
    files = table(folder)
    for name, facts in files.items():
        if wrong := fault(folder / name, facts, digest=digests):
            yield f"{name}: {wrong}"
    for name in _foreign(folder, files):
        yield f"{name}: not written by jaxprune"


def check_whole(folder: Path) -> None:
    """Rejects a sealed folder whose files differ from its table in name or size; one without table passes.

    Raises:
      InputError: names the first file.
    """
    if (folder / TABLE).is_file() and (wrong := next(faults(folder), None)):
        raise InputError(f"{folder / wrong}; expected the folder as it was written")


def check_replaceable(folder: Path, overwrite: bool, where: str = "") -> None:
    """Rejects a folder with files that this package did not write, and without `overwrite` any non-empty folder.

    Args:
      where: beginning of the messages, for example the flag with the folder.

    Raises:
      InputError: names the file or folder.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{where}{folder}: not a folder; expected a new or empty one")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    ours = table(folder) if (folder / TABLE).is_file() else {}
    for foreign in _foreign(folder, ours):
        raise InputError(
            f"{where}{folder / foreign} exists and was not written by jaxprune; move it away, "
            "or another folder"
        )
    if not overwrite:
        raise InputError(
            f"{where}{folder}: already exists; choose another folder, or overwrite it "
            "(--overwrite; in Python overwrite=True)"
        )


def remove(folder: Path) -> None:
    """Removes a sealed folder: its table, the files in the table and a signed card, then the folder if it is empty."""
    if not folder.is_dir():
        return
    ours = table(folder) if (folder / TABLE).is_file() else {}
    for name in ours:
        (folder / name).unlink(missing_ok=True)
    if _is_signed_card(folder, CARD):
        (folder / CARD).unlink()
    (folder / TABLE).unlink(missing_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            remove_if_empty(path)
    remove_if_empty(folder)


def unfinished(folder: Path) -> Path:
    """The path at which a folder is filled until it is complete; removes leftovers of a killed process."""
    discard(folder)
    _around(folder).mkdir(parents=True, exist_ok=True)
    return unfinished_name(folder)


def unfinished_name(folder: Path) -> Path:
    """One level below complete folders, which it thus cannot be mistaken for, in a folder of its own."""
    return _around(folder) / folder.name


def discard(folder: Path) -> None:
    """Removes an unfinished folder, and its temporary copies by Orbax."""
    shutil.rmtree(_around(folder), ignore_errors=True)


def _around(folder: Path) -> Path:
    return folder.parent / f"{folder.name}{UNFINISHED}"


def finish(folder: Path) -> None:
    """Seals a filled folder and renames it to its final name; an older one is removed, see `remove`."""
    filled = unfinished_name(folder)
    seal(filled)
    remove(folder)
    filled.rename(folder)
    discard(folder)


def replace_card(folder: Path, text: str) -> bool:
    """Replaces the card of a sealed folder by a signed one, atomically; returns False if the user changed the card."""
    if not _is_signed_card(folder, CARD):
        return False
    # outside the folder, where an incomplete file would be a foreign one
    filled = unfinished(folder)
    filled.mkdir()
    (filled / CARD).write_text(signed(text), encoding="utf-8")
    (filled / CARD).replace(folder / CARD)
    discard(folder)
    return True


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill; it is sealed and gets its final name if the block ends without an error."""
    filled = unfinished(folder)
    filled.mkdir()
    yield filled
    finish(folder)


def _foreign(folder: Path, files: Mapping[str, FileFacts]) -> list[str]:
    """The files and links of a folder other than its table, the files in the table and a signed card."""
    paths = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = {path.relative_to(folder).as_posix() for path in paths} - {TABLE, *files}
    return sorted(name for name in names if not _is_signed_card(folder, name))


def remove_if_empty(folder: Path) -> None:
    """Removes a folder; one that contains anything stays."""
    with contextlib.suppress(OSError):  # not empty
        folder.rmdir()
