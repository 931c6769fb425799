"""Importance of every weight, from kernels and the norms of their inputs; `jaxprune.scores`.

There is a function for each file in `criteria/`: `wanda(params, stats)`, `refined(params, stats)`, `magnitude(params)`,
`random(params)`. Each returns {"blocks": {… kernel: float32 [L, in, out]}}, of the pruned kernels only; all scores are
float32, whatever the dtype of the kernels. Pure array maths that knows no model.

`kernel_scores` is the one code path: the loop over blocks calls it with the kernels of a block, and these functions
map it over the stacked layers. `prune(criterion=...)` takes functions of your own.

Example:
  >>> import jaxprune as jp
  >>> model = jp.load("jaxprune/nano/checkpoints/bloom")
  >>> batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
  >>> scores = jp.scores.wanda(model.params, jp.probe(model, batches, progress=False))
  >>> scores["blocks"]["mlp"]["up"]["kernel"].shape  # layers, in, out
  (4, 128, 512)
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array

from jaxprune.calibration import COMPAT
from jaxprune.devices import pinned
from jaxprune.errors import InputError, refusal
from jaxprune.models import Params
from jaxprune.passes import ActivationStats
from jaxprune.pruning.criteria import CRITERIA
from jaxprune.pruning.criterion import CODE, Criterion, Function, Inputs, key_of_seed
from jaxprune.pruning.methods import method_of
from jaxprune.schema import check


def kernel_scores(chosen: Criterion, kernel: Array, inputs: Inputs) -> Array:
    """The scores of one kernel as float32.

    Raises:
      InputError: the criterion gives no array of numbers of the kernel's shape.
    """
    where = f"criterion {chosen.name}: {inputs.path}"
    try:
        scores = chosen.score(kernel, inputs)
    except jax.errors.JAXTypeError as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"{where}: {reason}; allowed: what can be compiled, as jax.numpy"
        ) from error
    allowed = f"an array of scores of shape {kernel.shape}, [in, out]"
    if not isinstance(scores, Array | np.ndarray):
        raise InputError(f"{where}: got {type(scores).__name__}; allowed: {allowed}")
    is_real = any(jnp.issubdtype(scores.dtype, kind) for kind in (jnp.floating, jnp.integer, bool))
    if scores.shape != kernel.shape or not is_real:
        raise InputError(f"{where}: got {scores.dtype} of shape {scores.shape}; allowed: {allowed}")
    return jnp.asarray(scores, jnp.float32)


@pinned()
def tree_scores(
    criterion: str | Criterion | Function,
    params: Params,
    stats: ActivationStats | None = None,
    *,
    role: str | None = None,
    compat: str = "corrected",
    seed: int = 0,
) -> dict[str, Any]:
    """Scores of every kernel of a model; what the functions of this module do under the criteria's names.

    Args:
      criterion: name of one, a record, or a function of (kernel, norm).
      params: the model's parameters, leaves of `params["blocks"]` stacked `[L, ...]`.
      stats: activation norms by site, `[L, D]`; for criteria that measure samples.
      role: which of several sets of demonstrations in `stats`; may be left out where there is one.
      compat: see `refined_norm`.
      seed: of random scores, which depend on nothing but the seed, the layer, the path and the shape.

    Returns:
      {"blocks": {... kernel: float32 [L, in, out]}}, the pruned kernels only.

    Raises:
      InputError: a criterion, role or kernel that is not there, a norm that does not fit its kernel.
    """
    chosen = method_of(criterion)
    if not isinstance(chosen, Criterion):
        raise refusal("criterion", chosen.name, ", ".join(CRITERIA) + ", which give scores")
    check("compat", compat, COMPAT)
    kernels = _kernels(params)
    norms: dict[str, dict[str, Array]] = {path: {} for path in kernels}
    if chosen.measures:
        if stats is None:
            raise InputError(f"stats: not set; criterion {chosen.name} needs what probe returns")
        norms = _norms(chosen, kernels, stats, role)
    seed_key = key_of_seed(seed)

    def of_layer(kernels: Mapping[str, Array], norms: Any, layer: Array) -> dict[str, Array]:
        return {
            path: kernel_scores(chosen, kernel, Inputs(norms[path], path, layer, seed_key, compat))
            for path, kernel in kernels.items()
        }

    kernels = {path: kernels[path] for path in norms}
    layers = jnp.arange(len(next(iter(kernels.values()))))
    scores = jax.vmap(of_layer)(kernels, norms, layers)
    return {"blocks": traverse_util.unflatten_dict(scores, sep="/")}


@functools.cache
def __getattr__(name: str) -> Callable[..., dict[str, Any]]:
    """The function of a criterion: (params, stats where it measures samples, its options)."""
    if name not in CRITERIA:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    chosen = CRITERIA[name]
    whole = inspect.signature(tree_scores)
    taken = ("params", *(("stats",) if chosen.measures else ()), *chosen.options)
    signature = whole.replace(
        parameters=[
            whole.parameters[one].replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for one in taken
        ]
    )

    def scores(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return tree_scores(name, **signature.bind(*args, **kwargs).arguments)

    scores.__name__ = scores.__qualname__ = name
    scores.__doc__ = f"{chosen.meaning[0].upper()}{chosen.meaning[1:]}; see `tree_scores`."
    scores.__signature__ = signature  # type: ignore[attr-defined]
    return scores


def __dir__() -> list[str]:
    return [*globals(), *CRITERIA]


def _kernels(params: Params) -> dict[str, Array]:
    """Every kernel of the blocks, by path: the linear layers, which are what is pruned."""
    if not isinstance(params, Mapping) or "blocks" not in params:
        kind = type(params).__name__
        raise InputError(
            f'params: got {kind}; allowed: {{"embed", "blocks", "head"}}, as Model.params'
        )
    leaves = traverse_util.flatten_dict(params["blocks"], sep="/")
    return {path: jnp.asarray(leaf) for path, leaf in leaves.items() if path.endswith("/kernel")}


def _norms(
    chosen: Criterion, kernels: Mapping[str, Array], stats: ActivationStats, role: str | None
) -> dict[str, dict[str, Array]]:
    """Kernel path → set → ‖X_j‖₂ [L, in], of the kernels that `stats` has inputs for."""
    norms: dict[str, dict[str, Array]] = {path: {} for path, _ in stats.sites}
    for one in chosen.measures:
        of = CODE if one == CODE else role or _demonstrations(stats, CODE in chosen.measures)
        if of not in stats.roles:
            raise refusal("role", of, stats.roles)
        by_site = stats.norms(of)
        for path, site in stats.sites:
            if path not in kernels:
                raise InputError(
                    f"blocks/{path}: stats has its inputs ({site}), params has no such"
                )
            needed = kernels[path].shape[:-1]
            if by_site[site].shape != needed:
                raise InputError(
                    f"norms: {path} has {one} of shape {by_site[site].shape}, its kernel {kernels[path].shape} needs "
                    f"{needed}"
                )
            norms[path][one] = jnp.asarray(by_site[site])
    return norms


def _demonstrations(stats: ActivationStats, beside_code: bool) -> str:
    """The role of the one set there is, or the one beside that of code."""
    others = [role for role in stats.roles if not (beside_code and role == CODE)]
    if len(others) == 1:
        return others[0]
    raise InputError(f"role: not set; allowed: {', '.join(stats.roles)}, as stats holds several")
