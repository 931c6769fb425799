"""Mutates the config.json of tiny models: logits equal those of transformers, or the config is rejected by name.

    python tests/mutate_configs.py --minutes 20 --seed 1

Each case changes some attributes of a model of some family: other values, other kinds of values, null, absent,
nested tables. transformers makes random weights for the config that results and computes logits from them. The package
then opens the same folder. An InputError of the package and an error of transformers are fine; other logits and other
errors of the package are findings. Each is printed with the smallest change that causes it and the command that
repeats it; then follows a table of counts. Exit code 1 if there is a finding. Case N of a seed is always the same.
"""

import argparse
import collections
import copy
import dataclasses
import functools
import itertools
import json
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import conftest  # before JAX and the package

# isort: split
import config_mutations
import jax
import jaxtyping
import numpy as np
import torch
import transformers
from config_mutations import Mutant
from safetensors.torch import save_file

import jaxprune as jp
from jaxprune.models.model import load_config

BASES = {**conftest.TINY, "gemma3-seeing": conftest.seeing_config}
OUTCOMES = ("equal", "rejected", "rejected by transformers", "too large", "finding")
LARGEST = 20_000_000  # parameters: an absent size is that of a real model
LENGTH = 23  # tokens, more than any window
TOLERANCE = 1e-4  # that of the families' tests
# In wide or badly conditioned models rounding errors are larger: up to this multiple of the largest change of torch's
# logits in some trials in which each weight changes by one rounding error, and up to this share of the largest logit.
ROUNDINGS, TRIALS, LARGEST_SHARE = 5, 4, 1e-3
KEPT = 500  # cases until JAX forgets what it compiled

compiled = jax.jit(jp.forward, static_argnums=0)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose attributes are mutated: a config.json, or its `text_config`.

    Attributes:
      raw: its attributes.
      defaults: those that its class has.
      own, read: names of attributes, as `config_mutations.mutate` takes them.
    """

    raw: Mapping[str, Any]
    defaults: Mapping[str, Any]
    own: list[str]
    read: list[str]


@functools.cache
def tables(name: str) -> dict[str, Table]:
    """The tables of a model's config.json by the prefix of their attributes: "" and, for some, "text_config."."""
    config = BASES[name]()
    read = attributes_read(config)
    parts = {"": config} | ({"text_config.": config.text_config} if "text_config" in config else {})
    return {prefix: _table(part, read) for prefix, part in parts.items()}


def _table(config: transformers.PreTrainedConfig, read: set[str]) -> Table:
    raw, defaults = (json.loads(json.dumps(c.to_dict())) for c in (config, type(config)()))
    own, known = config_mutations.own_names(config), config_mutations.read_names(config, read)
    return Table(raw, defaults, own, known)


def attributes_read(config: transformers.PreTrainedConfig) -> set[str]:
    """Names of the attributes of a config, and of those within it, that transformers reads while a model runs."""
    names = set()
    usual = transformers.PreTrainedConfig.__getattribute__

    def noted(self, name):
        names.add(name)
        return usual(self, name)

    transformers.PreTrainedConfig.__getattribute__ = noted
    try:
        logits_of_torch(conftest.random_torch(config))
    finally:
        transformers.PreTrainedConfig.__getattribute__ = usual
    return {
        name
        for name in names
        if not name.startswith("__") and not callable(getattr(config, name, None))
    }


def draw(seed: int, number: int) -> tuple[str, Mutant]:
    """Case `number`: the name of its model, and its config.json."""
    name = list(BASES)[number % len(BASES)]
    rng = random.Random(f"{seed}/{number}")
    parts = tables(name)
    prefix = max(parts) if rng.random() < 0.8 else ""
    table = parts[prefix]
    # as transformers saves it, or with some or all of what equals the defaults left out
    left_out = rng.choice((0.0, 0.5, 1.0))
    raw = {
        key: value
        for key, value in table.raw.items()
        if key == "model_type" or rng.random() >= left_out or table.defaults.get(key) != value
    }
    changed = config_mutations.mutate(raw, table.own, table.read, rng)
    return name, Mutant({**parts[""].raw, prefix[:-1]: raw} if prefix else raw, changed, prefix)


def outcome(config: Mapping[str, Any], folder: Path) -> tuple[str, str]:
    """One of OUTCOMES, and details of it.

    Args:
      config: content of a config.json.
      folder: gets the model's files.
    """
    (folder / "config.json").write_text(json.dumps(config))
    try:
        load_config(folder)
    except jp.InputError as error:
        return "rejected", str(error)
    except Exception as error:
        return "finding", f"load_config: {type(error).__name__}: {error}"
    try:
        theirs = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if parameters(theirs) > LARGEST:
            return "too large", ""
        model = conftest.random_torch(theirs)
        save(model, folder)
        tokens, want = logits_of_torch(model)
        allowed = tolerance(want, functools.partial(nudged_torch, model))
    except Exception as error:
        return "rejected by transformers", f"{type(error).__name__}: {error}"
    return compare(folder, tokens, want, allowed)


def parameters(config: transformers.PreTrainedConfig) -> int:
    """How many parameters a model has."""
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    return sum(value.numel() for value in model.parameters())


def logits_of_torch(model: transformers.PreTrainedModel) -> tuple[np.ndarray, np.ndarray]:
    """Tokens [2, T] int32 within the model's vocabulary and positions, and its logits [2, T, V] float32."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", LENGTH)
    vocabulary = model.get_input_embeddings().num_embeddings
    tokens = np.random.default_rng(1).integers(0, vocabulary, (2, min(LENGTH, positions)))
    with torch.no_grad():
        logits = model(torch.from_numpy(tokens), return_dict=True).logits
    return tokens.astype(np.int32), logits.numpy()


def tolerance(logits: np.ndarray, trial: Callable[[], np.ndarray]) -> float:
    """The largest difference from logits that rounding explains.

    Args:
      logits: of a model.
      trial: its logits after each weight has changed by a rounding error.
    """
    rounding = max(float(np.abs(trial() - logits).max()) for _ in range(TRIALS))
    return max(TOLERANCE, min(ROUNDINGS * rounding, LARGEST_SHARE * float(np.abs(logits).max())))


def nudged_torch(model: transformers.PreTrainedModel) -> np.ndarray:
    """A trial of transformers' model."""
    nudged = copy.deepcopy(model)
    with torch.no_grad():
        for value in nudged.parameters():
            value.mul_(1 + torch.finfo(value.dtype).eps * (2 * torch.randint_like(value, 2) - 1))
    return logits_of_torch(nudged)[1]


def nudged_jax(model: jp.Model, tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A trial of ours."""
    nudged = jax.tree.map(
        lambda value: (
            value
            * (1 + np.finfo(value.dtype).eps * rng.choice([-1, 1], value.shape)).astype(value.dtype)
        ),
        model.params,
    )
    return np.asarray(compiled(model.config, nudged, tokens))


def save(model: transformers.PreTrainedModel, folder: Path) -> None:
    """Writes model.safetensors as transformers does, a tied head left out."""
    is_tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    state = {
        name: value.contiguous()
        for name, value in model.state_dict().items()
        if not (is_tied and name == "lm_head.weight")
    }
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def compare(folder: Path, tokens: np.ndarray, want: np.ndarray, allowed: float) -> tuple[str, str]:
    """The outcome of the model in a folder, whose logits should be `want`."""
    try:
        model = jp.load(folder)
        got = np.asarray(compiled(model.config, model.params, tokens))
    except jp.InputError as error:
        return "rejected", str(error)
    except Exception as error:
        return "finding", f"{type(error).__name__}: {error}"
    if got.shape != want.shape:
        return "finding", f"logits are {got.shape}, not {want.shape}"
    if np.allclose(got, want, 0, allowed, equal_nan=True):
        return "equal", ""
    # one of two badly conditioned programs may round worse than the other
    allowed = max(
        allowed,
        tolerance(got, functools.partial(nudged_jax, model, tokens, np.random.default_rng(0))),
    )
    apart, size = np.abs(got - want).max(), np.abs(want).max()
    if apart <= allowed:
        return "equal", ""
    return (
        "finding",
        f"logits differ by {apart:.3g}, more than {allowed:.3g}; the largest is {size:.3g}",
    )


def smallest(mutant: Mutant, folder: Path) -> tuple[Mutant, str]:
    """The fewest of its changes that are a finding, and the details."""
    for changed in mutant.changed:
        less = mutant.without(changed)
        if outcome(less.config, folder)[0] == "finding":
            return smallest(less, folder)
    return mutant, outcome(mutant.config, folder)[1]


def results(
    seed: int, numbers: Iterable[int], end: float = float("inf")
) -> Iterator[tuple[str, str, str]]:
    """Of each case until `end` by the monotonic clock: its model, its outcome, and the text of a finding."""
    with tempfile.TemporaryDirectory(prefix="configs-") as folder:
        for done, number in enumerate(numbers, 1):
            if time.monotonic() > end:
                return
            name, mutant = draw(seed, number)
            found, details = outcome(mutant.config, Path(folder))
            if found == "finding":
                mutant, details = smallest(mutant, Path(folder))
                repeat = f"python tests/mutate_configs.py --seed {seed} --case {number}"
                details = f"{name}: {mutant.prefix}{dict(mutant.changed)}: {details}\n  {repeat}"
            yield name, found, details
            if done % KEPT == 0:
                jax.clear_caches()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0, help="for other cases")
    parser.add_argument("--only", choices=BASES, help="one model, by name")
    parser.add_argument("--case", type=int, help="only this case of the seed")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    jaxtyping.config.update("jaxtyping_disable", True)  # values of kinds that no annotation allows
    first, step = (list(BASES).index(options.only), len(BASES)) if options.only else (0, 1)
    numbers = itertools.count(first, step) if options.case is None else [options.case]
    counts = {name: collections.Counter() for name in [*BASES, "all"]}
    for name, found, details in results(
        options.seed, numbers, time.monotonic() + 60 * options.minutes
    ):
        counts[name][found] += 1
        counts["all"][found] += 1
        if found == "finding" or options.case is not None:
            print(details, flush=True)
    print(f"{'':20}" + "".join(f"{found:>26}" for found in OUTCOMES))
    for name, count in counts.items():
        print(f"{name:20}" + "".join(f"{count[found]:>26}" for found in OUTCOMES))
    return int(bool(counts["all"]["finding"]))


if __name__ == "__main__":
    sys.exit(main())
