"""A command on a workdir in a bucket: it runs in a local folder, whose files are uploaded as they are finished."""

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxprune.base.errors import InputError, one_line
from jaxprune.base.files.store import Store
from jaxprune.base.progress import say
from jaxprune.base.text import byte_size
from jaxprune.runs.buckets.mirror import Mirror
from jaxprune.runs.buckets.ownership import RENEW, Ownership

_PAUSE = 1.0  # seconds between two looks for finished files


@contextlib.contextmanager
def staged(address: str) -> Iterator[Path]:
    """A local folder with the contents of a workdir in a bucket; files that are written there are uploaded.

    Files of `progress/`, such as finished layers, are uploaded at once, so another machine can resume the run. Results
    follow when they are finished; report.json is last. Finished files are uploaded after an error too. The folder is
    below TMPDIR, and is removed at the end unless its files could not be uploaded.

    Args:
      address: address in a bucket, see `Store`.

    Raises:
      InputError: the address, or another run owns the workdir.
      OSError: the store cannot be reached or refuses.
    """
    store = Store(address, "--workdir")
    ownership = Ownership(store)
    with contextlib.ExitStack() as stack:
        stack.callback(ownership.release)
        stack.enter_context(_repeated(RENEW, ownership.renew_or_end))
        folder = Path(tempfile.mkdtemp(prefix="jaxprune-"))
        workdir = folder / store.address.rpartition("/")[2]
        workdir.mkdir()
        mirror = None
        try:
            mirror = Mirror(store, workdir)
            with _repeated(_PAUSE, lambda: None if ownership.is_lost else mirror.push()):
                yield workdir
        finally:
            if mirror is not None:
                _push_at_last(mirror, ownership, workdir)
            shutil.rmtree(folder)
    say(f"workdir: {byte_size(mirror.uploaded)} uploaded to {store.address}")


@contextlib.contextmanager
def _repeated(pause: float, act: Callable[[], None]) -> Iterator[None]:
    """Repeats an action in a thread, with pauses in seconds; errors of the store are reported once, and retried."""
    stop, reported = threading.Event(), set()

    def work() -> None:
        while not stop.wait(pause):
            try:
                act()
            except (OSError, InputError) as error:
                if (text := one_line(str(error))) not in reported:
                    reported.add(text)
                    say(f"workdir: {text}; tries again")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _push_at_last(mirror: Mirror, ownership: Ownership, workdir: Path) -> None:
    """Uploads the remaining files.

    Raises:
      InputError: another run has taken over, or the store fails; names the folder of the results.
    """
    location = f"the results of this one are in {workdir}"
    try:
        ownership.renew()
        if not ownership.is_lost:
            mirror.push()
    except (OSError, InputError) as error:
        raise InputError(f"--workdir: {ownership.address}: {error}; {location}") from error
    if ownership.is_lost:
        raise InputError(f"--workdir: another run has {ownership.address}; {location}")
