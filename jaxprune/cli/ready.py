"""Names of ready configs → their files: `nano`, `bloom`, `paper/mgpt`."""

from pathlib import Path

from jaxprune.base.errors import InputError, did_you_mean, invalid_value

# In a clone a link to the folder beside the package.
_CONFIGS = (Path(__file__).parents[1] / "configs").resolve()


def ready_configs() -> dict[str, Path]:
    """The configs of the package by name."""
    files = {file.relative_to(_CONFIGS).with_suffix(""): file for file in _CONFIGS.rglob("*.py")}
    return {name.as_posix(): files[name] for name in sorted(files, key=lambda name: name.parts)}


def config_file(value: str) -> str:
    """The value of `--config` (NAME or FILE.py, with an optional `:ARGUMENT`) with the file in place of the name.

    Raises:
      InputError: no such name or file; suggests the closest name.
    """
    name, colon, argument = value.partition(":")
    ready = ready_configs()
    if name in ready:
        return f"{ready[name]}{colon}{argument}"
    if Path(name).is_file() and name.endswith(".json"):
        raise InputError(
            f"--config: {name}: not a Python file; expected FILE.py, {', '.join(ready)}"
        )
    if Path(name).is_file():
        return value
    if name.endswith(".py"):
        raise InputError(f"--config: no file {name!r}{did_you_mean(Path(name).stem, ready)}")
    raise invalid_value(
        "--config", name, f"FILE.py, base:MODEL for any model, {', '.join(ready)}", choices=ready
    )
