"""Arguments that name paths → checked paths; the command line of a command without config."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from jaxprune.base.errors import InputError, did_you_mean
from jaxprune.base.files.places import local_path
from jaxprune.base.files.store import is_address


def path(text: str) -> Path:
    """The path that an argument names; a folder in a bucket is downloaded."""
    try:
        return local_path(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def output(text: str) -> Path:
    """The path of an output. Expands `~`, which the shell does not expand after `--out=`."""
    if is_address(text):
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a path of this machine")
    return Path(text).expanduser()


def check_folder(flag: str, folder: Path) -> None:
    """Rejects a path that cannot be a folder.

    Raises:
      InputError: names the flag and the path.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{flag}: {folder} is a file; expected a folder")
    if folder.is_symlink() and not folder.exists():
        raise InputError(f"{flag}: {folder} is a broken link; expected a folder")


class Arguments(argparse.ArgumentParser):
    """The command line of a command without config; bad arguments raise `InputError` with the usage.

    Args:
      program: the words that the user typed.
      takes: the arguments, for the usage.
      about: the command's docstring.
    """

    def __init__(self, program: str, takes: str, about: str | None) -> None:
        super().__init__(
            usage=f"{program.rpartition('/')[2]} {takes}".replace("%", "%%"),
            description=described(about, program),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def parse_args(self, arguments: Sequence[str]) -> argparse.Namespace:  # type: ignore[override]
        """The options; a flag that does not exist is named before one that is missing."""
        flags = [flag for action in self._actions for flag in action.option_strings]
        for word in arguments:
            name = word.partition("=")[0]
            if name.startswith("--") and not any(flag.startswith(name) for flag in flags):
                self.error(f"{name}: no such flag{did_you_mean(name, flags)}")
        return super().parse_args(arguments)

    def error(self, message: str) -> NoReturn:
        raise InputError(" ".join(f"{message}; {self.format_usage()}".split()))


def described(about: str | None, program: str) -> str:
    """A command's docstring with the user's program in place of `jaxprune COMMAND` in its examples."""
    words = program.split()
    name = Path(words[-1]).stem
    return (about or "").strip().replace(f"jaxprune {name} ", f"{program} ")
