"""Scores of every weight, from kernels and the norms of their inputs; `jaxprune.scores`.

Each file in `criteria/` has a function here: `wanda(params, stats)`, `ria(params, stats)`, `refined(params, stats)`,
`magnitude(params)`, `random(params)`. Each returns {"blocks": {… kernel: float32 [L, in, out]}}, with the pruned
kernels only. Scores are float32, whatever the dtype of the kernels. The functions are pure and independent of the
model.

`kernel_scores` computes all scores: the loop over blocks calls it with the kernels of a block, and these functions map
it over the stacked layers. `prune(criterion=...)` also takes custom functions.

Examples:
  >>> import jaxprune as jp
  >>> model = jp.load("nano/bloom")
  >>> batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
  >>> scores = jp.scores.wanda(model.params, jp.probe(model, batches, progress=False))
  >>> scores["blocks"]["mlp"]["up"]["kernel"].shape  # layers, in, out
  (4, 128, 512)
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, Float

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.schema import check
from jaxprune.data.config import COMPAT, SEED
from jaxprune.devices.compiled import pinned
from jaxprune.models.trees import Params
from jaxprune.pruning.criteria import CRITERIA
from jaxprune.pruning.criterion import (
    CODE,
    DEMONSTRATIONS,
    Criterion,
    Function,
    Inputs,
    kernel_scores,
    key_of_seed,
)
from jaxprune.pruning.methods import method_of
from jaxprune.stats.stats import ActivationStats


def tree_scores(
    criterion: str | Criterion | Function,
    params: Params,
    stats: ActivationStats | None = None,
    *,
    role: str | None = None,
    compat: str = "corrected",
    seed: int = 0,
) -> dict[str, Any]:
    """Scores of every kernel of a model; the functions with the criteria's names call it.

    Args:
      criterion: a name, a record, or a function of (kernel, norm).
      params: the model's parameters, leaves of `params["blocks"]` stacked `[L, ...]`.
      stats: activation statistics; for criteria that measure samples.
      role: the set of demonstrations in `stats`; optional if it has one.
      compat: see `refined_norm`.
      seed: seed of random scores.

    Returns:
      {"blocks": {... kernel: float32 [L, in, out]}}, the pruned kernels only.

    Raises:
      InputError: an unknown criterion, role or kernel, or a norm that does not fit its kernel.
    """
    chosen = method_of(criterion)
    if not isinstance(chosen, Criterion):
        raise invalid_value("criterion", chosen.name, ", ".join(CRITERIA) + ", which have scores")
    check("compat", compat, COMPAT)
    check("seed", seed, SEED)
    kernels, norms = _kernels(params), dict[str, dict[str, Array]]()
    if chosen.measures:
        if not isinstance(stats, ActivationStats):
            raise invalid_value("stats", stats, "ActivationStats, as jaxprune.probe returns")
        for path, site in stats.sites:
            if path not in kernels:
                raise InputError(
                    f"blocks/{path}: missing in params; expected all kernels of stats, this one of {site}"
                )
        if CODE in chosen.measures and CODE not in stats.roles:
            raise invalid_value(
                "stats", ", ".join(stats.roles), f"a set of code too, for {chosen.name}"
            )
        kernels = {path: kernels[path] for path, _ in stats.sites}
        roles = {CODE: CODE}
        if DEMONSTRATIONS in chosen.measures:
            roles[DEMONSTRATIONS] = role or _demonstrations(stats, CODE in chosen.measures)
        norms = {set_name: _norms(stats, roles[set_name]) for set_name in chosen.measures}

    @pinned()
    def block_scores(
        kernels: Mapping[str, Array], norms: Mapping[str, Mapping[str, Array]], layer: Array
    ) -> dict[str, Array]:
        key = key_of_seed(seed)
        return {
            path: kernel_scores(
                chosen,
                kernel,
                Inputs(
                    {set_name: by_path[path] for set_name, by_path in norms.items()},
                    path=path, layer=layer, seed_key=key, compat=compat,
                ),
            )
            for path, kernel in kernels.items()
        }  # fmt: skip

    layers = jnp.arange(len(next(iter(kernels.values()))))
    scores = jax.vmap(block_scores)(kernels, norms, layers)
    return {"blocks": traverse_util.unflatten_dict(scores, sep="/")}


@functools.cache
def __getattr__(name: str) -> Callable[..., dict[str, Any]]:
    """The function of a criterion: (params, stats if it measures samples, its options)."""
    if name not in CRITERIA:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    chosen = CRITERIA[name]
    whole = inspect.signature(tree_scores)
    arguments = ("params", *(("stats",) if chosen.measures else ()), *chosen.options)
    signature = whole.replace(
        parameters=[
            whole.parameters[argument].replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for argument in arguments
        ]
    )

    def scores(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return tree_scores(name, **signature.bind(*args, **kwargs).arguments)

    scores.__name__ = scores.__qualname__ = name
    scores.__doc__ = f"{chosen.meaning[0].upper()}{chosen.meaning[1:]}; see `tree_scores`."
    scores.__signature__ = signature  # type: ignore[attr-defined]
    return scores


def __dir__() -> list[str]:
    return [*CRITERIA, "tree_scores"]


def _kernels(params: Params) -> dict[str, Array]:
    """Every kernel of the blocks, by path."""
    if not isinstance(params, Mapping) or "blocks" not in params:
        kind = type(params).__name__
        raise InputError(
            f'params: got {kind}; expected {{"embed", "blocks", "head"}}, as Model.params'
        )
    leaves = traverse_util.flatten_dict(params["blocks"], sep="/")
    return {path: jnp.asarray(leaf) for path, leaf in leaves.items() if path.endswith("/kernel")}


def _demonstrations(stats: ActivationStats, beside_code: bool) -> str:
    """The role of the only set, or of the only one besides code."""
    others = [role for role in stats.roles if not (beside_code and role == CODE)]
    if len(others) == 1:
        return others[0]
    if not others:
        raise invalid_value("stats", CODE, "a set of demonstrations too")
    raise InputError(f"role: not set; expected {', '.join(others)}, as stats contains several")


def _norms(stats: ActivationStats, role: str) -> dict[str, Float[Array, "L in"]]:
    """The norms of the inputs of every kernel."""
    if role not in stats.roles:
        raise invalid_value("role", role, stats.roles)
    by_site = stats.norms(role)
    return {path: jnp.asarray(by_site[site]) for path, site in stats.sites}
