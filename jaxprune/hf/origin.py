"""A model's name, folder and model card → its hub id, licence and languages, for the card of a pruned model."""

import os
import re
from pathlib import Path
from typing import Any

from jaxprune.base.files import manifest
from jaxprune.base.files.store import is_address
from jaxprune.hf.model import Model
from jaxprune.nano import MODELS

_WORD = re.compile(r"[\w.+:-]{1,80}")
_HUB_ID = re.compile(r"[\w.-]{1,100}(/[\w.-]{1,100})?")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,500}")


def origin_of(model: Model, name: str) -> dict[str, Any]:
    """The known facts about a model that was opened by a name, a folder or a hub id.

    Returns:
      `name`, the hub id or the last part of the folder's path; `has_tokenizer`; and keys of front matter, as far as
      they are known: `license`, `license_name`, `license_link` and `language` of its card, and `base_model`, its hub
      id, or for a local folder the `base_model` of its card.
    """
    card = _front_matter(model.folder / manifest.CARD)
    hub_id = _hub_id(model.folder, name)
    # the other parts of a path are private
    last = Path(os.path.abspath(Path(name).expanduser())).name
    origin: dict[str, Any] = {"name": hub_id or last, "has_tokenizer": model.has_tokenizer}
    if base_model := [hub_id] if hub_id else _texts(card.get("base_model"), _HUB_ID):
        origin["base_model"] = base_model
    if language := _texts(card.get("language"), _WORD):
        origin["language"] = language
    for key, allowed in (("license", _WORD), ("license_name", _LINE), ("license_link", _LINE)):
        if licence := _texts(card.get(key), allowed):
            origin[key] = licence[0]
    return origin


def _hub_id(folder: Path, name: str) -> str | None:
    """The hub id: the name, or the repository of a snapshot in the hub's cache; None for other folders."""
    if name in MODELS:
        return None
    if not is_address(name) and not Path(name).expanduser().is_dir():
        return name
    parts = folder.resolve().parts
    match = re.fullmatch(r"models--(.+)", parts[-3]) if parts[-2:-1] == ("snapshots",) else None
    return match[1].replace("--", "/") if match else None


def _front_matter(file: Path) -> dict[str, Any]:
    """The metadata at the top of a card; empty if missing or broken."""
    import yaml  # imported late, with the hub's client, which depends on it
    from huggingface_hub import metadata_load

    try:
        return metadata_load(file) or {}
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return {}


def _texts(value: object, allowed: re.Pattern[str]) -> list[str]:
    """A value of front matter, one or a list, restricted to texts that match a pattern."""
    values = value if isinstance(value, list) else [value]
    # YAML parses the code of Norwegian, no, as false.
    texts = ["no" if item is False else item for item in values]
    return [text for text in texts if isinstance(text, str) and allowed.fullmatch(text)]
