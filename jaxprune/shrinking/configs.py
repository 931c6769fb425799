"""The configs of a smaller model: config.json and generation_config.json with its sizes, layers and ids."""

from collections.abc import Mapping
from typing import Any

from jaxprune.base.errors import InputError
from jaxprune.base.files.outside import read_json
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import family_of, parsed
from jaxprune.shrinking import token_ids

_NEURONS = ("intermediate_size", "ffn_dim", "n_inner")
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
# Periods of layers with windows or without rotary positions, which lists by layer replace.
_PERIODS = ("sliding_window_pattern", "_sliding_window_pattern", "no_rope_layer_interval")


def configs_of(
    model: Model, smaller: ModelConfig, new_ids: Mapping[int, int]
) -> dict[str, dict[str, Any]]:
    """The new content of the files that exist.

    Args:
      model: the whole model.
      smaller: the config of the smaller one.
      new_ids: old id → new id; empty if all tokens are kept.
    """
    files = {}
    for name in token_ids.CONFIGS:
        if raw := read_json(model.folder / name):
            files[name] = token_ids.with_new_ids(name, raw, new_ids) if new_ids else raw
    config = family_of(model.config).exported(files["config.json"])
    if new_ids:
        config = {**config, "vocab_size": smaller.vocab_size}
    if smaller.d_ff < model.config.d_ff:
        config[next((name for name in _NEURONS if name in config), _NEURONS[-1])] = smaller.d_ff
    if smaller.n_layers < model.config.n_layers:
        config = _with_layers(config, smaller)
    return {**files, "config.json": config}


def _with_layers(raw: Mapping[str, Any], smaller: ModelConfig) -> dict[str, Any]:
    config = {name: value for name, value in raw.items() if name not in _PERIODS}
    config |= {name: smaller.n_layers for name in _LAYERS if name in raw}
    kinds = [smaller.kind(layer) for layer in range(smaller.n_layers)]
    differ = len(smaller.kinds) > 1
    if "layer_types" in raw or (differ and any(kind.window for kind in smaller.kinds)):
        config["layer_types"] = [
            "sliding_attention" if kind.window else "full_attention" for kind in kinds
        ]
    if differ and any(kind.rope is None for kind in smaller.kinds):
        config["no_rope_layers"] = [int(kind.rope is not None) for kind in kinds]
    return config


def check_read_back(smaller: ModelConfig, raw: Mapping[str, Any]) -> None:
    """Rejects a config.json that does not express the smaller model; raises InputError."""

    def described(config: ModelConfig) -> dict[str, Any]:
        kinds = [config.kind(layer) for layer in range(config.n_layers)]
        return {**vars(config), "kinds": kinds, "pattern": None}

    read = described(parsed(raw, "config.json"))
    differs = [name for name, value in described(smaller).items() if read[name] != value]
    if differs:
        raise InputError(
            f"shrink: a config.json of {smaller.family} cannot express the smaller model ({differs[0]})"
        )
