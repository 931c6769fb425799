"""A config.json of a tiny model → the same with some attributes changed, at random."""

import dataclasses
import random
from collections.abc import Iterable, Mapping
from typing import Any

import transformers
from transformers_attributes import known_attributes

ABSENT = type("Absent", (), {"__repr__": lambda self: "absent"})()
ROPE_TABLES = ("rope_parameters", "rope_scaling")
# Attributes that transformers reads together, and how often mutations are of that group.
GROUPS = {
    (
        "layer_types", "sliding_window", "use_sliding_window", "max_window_layers", "sliding_window_pattern",
        "no_rope_layers", "no_rope_layer_interval",
    ): 4,
    (
        *ROPE_TABLES, "rope_theta", "rope_local_base_freq", "partial_rotary_factor", "layer_types",
        "original_max_position_embeddings", "max_position_embeddings",
    ): 4,
    (
        "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_size", "n_head", "n_embd", "n_embed",
        "d_model", "attention_heads", "query_pre_attn_scalar", "scale_attn_weights", "use_qk_norm",
    ): 1,
}  # fmt: skip
# Values of attributes that tiny models leave null or absent.
TYPICAL = {
    "sliding_window": (3, 5, 8, 16), "use_sliding_window": (True, False), "max_window_layers": (0, 1, 2),
    "sliding_window_pattern": (1, 2, 3), "no_rope_layer_interval": (1, 2, 3), "head_dim": (6, 8, 16, 20),
    "rope_theta": (100.0, 1e4, 500), "rope_local_base_freq": (50.0, 1e4), "partial_rotary_factor": (1.0, 0.5),
    "original_max_position_embeddings": (8, 16, 64), "max_position_embeddings": (32, 64),
}  # fmt: skip
KINDS_OF_LAYERS = ("sliding_attention", "full_attention")
OTHER_LAYERS = ("attention", "chunked_attention", "linear_attention", "dense", "", None, 1)
ROPE_TYPES = ("default", "linear", "dynamic", "llama3", "yarn", "longrope", "proportional", None, 1)
NUMBERS_OF_ROPES = {
    "rope_theta": (100.0, 500, 1e4, 5e5, 0, None, "1"), "factor": (1.0, 2, 8.0, 0.5, 0, None),
    "low_freq_factor": (1.0, 0.5, 4, None), "high_freq_factor": (4.0, 2, 1.0, None),
    "original_max_position_embeddings": (8, 16, 32, 64, 16.0, None), "partial_rotary_factor": (1.0, 1, 0.5, None),
    "attention_factor": (1.0, 2.0, None), "beta_fast": (32, 1.0), "mscale": (2.0, 0), "truncate": (False,),
    "short_factor": ([2.0] * 6,), "long_factor": ([2.0] * 6,), "mrope_section": ([2, 2, 2],),
}  # fmt: skip
NAMES = (
    "gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish", "quick_gelu", "xielu", "relu2", "tanh",
    "eager", "sdpa", "float32", "full_attention", "sliding_attention", "default", "linear", "1", "",
)  # fmt: skip
OTHER_KINDS = (
    True, False, 0, 1, 2, 5, 16, -1, 0.0, 0.5, 1.0, 2.0, 1e-5, "1", "relu", [], [0], [1, 1], {}, {"0": {"head_dim": 4}},
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A config.json some of whose attributes are changed.

    Attributes:
      raw: the config.json before.
      changed: attributes and their new values.
      prefix: "text_config." where they are attributes of that table, else empty.
    """

    raw: Mapping[str, Any]
    changed: Mapping[str, Any]
    prefix: str = ""

    def without(self, name: str) -> "Mutant":
        """The same without one of the changes."""
        changed = {key: value for key, value in self.changed.items() if key != name}
        return dataclasses.replace(self, changed=changed)

    @property
    def config(self) -> dict[str, Any]:
        """The content of config.json."""
        if not self.prefix:
            return _changed(self.raw, self.changed)
        part = self.prefix[:-1]
        return {**self.raw, part: _changed(self.raw[part], self.changed)}


def _changed(raw: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**raw, **changed}.items() if value is not ABSENT}


def own_names(config: transformers.PreTrainedConfig) -> list[str]:
    """Attributes of a config's class, and its other names for them."""
    fields = {field.name for field in dataclasses.fields(config)}
    return sorted(fields | set(config.attribute_map) | set(config.attribute_map.values()))


def read_names(config: transformers.PreTrainedConfig, read: Iterable[str]) -> list[str]:
    """Attributes that a class, its model and shared code read: those seen when a model ran, and in their source."""
    return sorted(known_attributes(config.model_type) | set(read) - {"model_type"})


def mutate(
    raw: Mapping[str, Any], own: list[str], read: list[str], rng: random.Random
) -> dict[str, Any]:
    """Some attributes with new values: those of a group, of the class, or any that are read.

    Args:
      raw: a config.json.
      own, read: as `own_names` and `read_names` return them.
    """
    groups = [[name for name in group if name in read] for group in GROUPS]
    weights = [
        weight if group else 0 for group, weight in zip(groups, GROUPS.values(), strict=True)
    ]
    places = rng.choices((*groups, own, read), (*weights, 4, 2))[0]
    if any(places is group for group in groups):
        names = [name for name in places if rng.random() < 0.3] or [rng.choice(places)]
    else:
        names = rng.sample(places, rng.choice((1, 2, 2, 3)))
    return {name: _value(name, raw, rng) for name in names}


def _value(name: str, raw: Mapping[str, Any], rng: random.Random) -> Any:
    current = raw.get(name)
    kind = rng.random()
    if kind < 0.2:
        return ABSENT if rng.random() < 0.6 else None
    if kind < 0.3:
        return rng.choice(OTHER_KINDS)
    if name in ROPE_TABLES:
        return _ropes(isinstance(current, dict) and any(k in current for k in KINDS_OF_LAYERS), rng)
    if name == "layer_types":
        return _layers(_length(raw, rng), rng)
    if name == "no_rope_layers":
        values = (0, 1) if rng.random() < 0.8 else (0, 1, True, 2)
        return [rng.choice(values) for _ in range(_length(raw, rng))]
    if current is None and name in TYPICAL:
        return rng.choice(TYPICAL[name])
    return _near(current, rng)


def _near(value: Any, rng: random.Random) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, value * 2, value // 2, 1, 3, 4, 7, 12, 0, -value))
    if isinstance(value, float):
        return rng.choice((value * 2, value / 2, value + 0.5, 0.25, 1.0, 2, 0.0, -value))
    if isinstance(value, str):
        return rng.choice(NAMES)
    if isinstance(value, list):
        return rng.choice((value[:-1], [*value, *value[:1]], value[::-1]))
    return rng.choice((*OTHER_KINDS, 3, 5, 7, 8, 16, 100.0, 1e4))


def _length(raw: Mapping[str, Any], rng: random.Random) -> int:
    """Mostly the number of layers."""
    layers = next((raw[n] for n in ("num_hidden_layers", "n_layer", "num_layers") if n in raw), 2)
    return max(0, layers + rng.choice((0, 0, 0, 0, 0, 0, 1, -1)))


def _layers(length: int, rng: random.Random) -> list[Any]:
    names = [rng.choice(KINDS_OF_LAYERS) for _ in range(length)]
    if names and rng.random() < 0.2:
        names[rng.randrange(length)] = rng.choice(OTHER_LAYERS)
    return names


def _ropes(by_layer: bool, rng: random.Random) -> dict[str, Any]:
    """A table of rotary positions, or one for each kind of layer, or both."""
    table = {} if rng.random() < 0.15 else _rope(rng)
    if rng.random() < (0.7 if by_layer else 0.1):
        nested = {kind: rng.choice((_rope(rng), _rope(rng), {}, None)) for kind in KINDS_OF_LAYERS}
        table = nested if rng.random() < 0.8 else {**table, **nested}
        table.pop(rng.choice((*KINDS_OF_LAYERS, "", "", "")), None)
    return table


def _rope(rng: random.Random) -> dict[str, Any]:
    kind = rng.choices(ROPE_TYPES, (4, 4, 3, 4, 1, 1, 1, 1, 1))[0]
    spelled = rng.choice((("rope_type",), ("rope_type",), ("type",), ("rope_type", "type"), ()))
    table = dict.fromkeys(spelled, kind)
    if len(spelled) == 2 and rng.random() < 0.2:
        table["type"] = rng.choice(ROPE_TYPES)
    # NUMBERS_OF_ROPES begins with those that llama3 needs; others need the first one or two
    needed = list(NUMBERS_OF_ROPES)[: {"llama3": 5, "default": 1}.get(kind, 2)]
    for name, values in NUMBERS_OF_ROPES.items():
        if rng.random() < (0.85 if name in needed else 0.06):
            table[name] = rng.choice(values[:3] if rng.random() < 0.8 else values)
    return table
