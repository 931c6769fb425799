"""Atomically written text and JSON files; short names of folders, and the user's folder for cached results."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Writes a file atomically."""
    unfinished = path.with_name(path.name + ".new")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        error.filename = error.filename or str(path)  # the error of a full disk has no path
        raise


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def short_names(folders: Sequence[Path]) -> list[str]:
    """The last parts of each path, as many as needed to distinguish the folders."""
    resolved = [folder.expanduser().resolve() for folder in folders]
    parts, most = 1, max(len(folder.parts) for folder in resolved)
    while len({folder.parts[-parts:] for folder in resolved}) < len(resolved) and parts < most:
        parts += 1
    return ["/".join(folder.parts[-parts:]).lstrip("/") or "/" for folder in resolved]


def user_cache(name: str) -> Path:
    """The folder of this name for cached results; it may be emptied at any time, missing or not writable."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if base == "~/.cache":  # no home: use a path that cannot be written
        base = os.devnull
    return Path(base) / "jaxprune" / name
