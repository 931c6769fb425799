"""Importance of every weight, from kernels and the norms of their inputs.

Pure array maths that knows no model. All scores are float32, whatever the dtype of the kernels;
kernels are `[..., in, out]`, so the norm of input feature j scales row j of the array.

`block_scores` is the one code path: the loop over blocks calls it with the kernels of a block, and
the tree functions (`wanda`, `refined`, `magnitude`, `random`) map it over the stacked layers.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, Float, Key

from jaxprune.errors import InputError
from jaxprune.stats import ActivationStats

CRITERIA = ("wanda", "refined", "magnitude", "random")
COMPATS = ("corrected", "official")


def wanda_score(
    kernel: Float[Array, "*layers in out"], norm: Float[Array, "*layers in"]
) -> Float[Array, "*layers in out"]:
    """S_ij = |W_ij| * ||X_j||_2 (Sun et al. 2024, eq. 1), in float32."""
    return magnitude_score(kernel) * norm.astype(jnp.float32)[..., None]


def magnitude_score(kernel: Float[Array, "*layers in out"]) -> Float[Array, "*layers in out"]:
    """|W_ij|, in float32."""
    return jnp.abs(kernel.astype(jnp.float32))


def random_score(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Uniform scores in [0, 1), float32: the lowest share of them is a random choice of weights."""
    return jax.random.uniform(key, shape, jnp.float32)


def refined_norm(
    translation: Float[Array, "*layers in"],
    code: Float[Array, "*layers in"],
    compat: str = "corrected",
) -> Float[Array, "*layers in"]:
    """||X_j^mt|| * (||X_j^mt|| / ||X_j^code||), the paper's metric for BLOOM, in float32.

    A feature that code never excites has a code norm of 0. Under `corrected` it counts as one that
    code excites as little as any: the denominator is at least the smallest positive code norm of
    the same row of features (1 where there is none, which leaves the order by translation alone).
    So the result is finite for finite norms, and 0 where the translation norm is 0. Under
    `official` nothing guards the division: x/0 is infinite and 0/0 is NaN.

    Raises:
        InputError: unknown `compat`.
    """
    translation, code = translation.astype(jnp.float32), code.astype(jnp.float32)
    _check_choice("compat", compat, COMPATS)
    if compat == "official":
        return translation * (translation / code)
    floor = jnp.min(code, axis=-1, keepdims=True, where=code > 0, initial=jnp.inf)
    floor = jnp.where(jnp.isinf(floor), 1, floor)
    refined = translation * (translation / jnp.maximum(code, floor))
    return jnp.minimum(refined, jnp.finfo(jnp.float32).max)


def block_scores(
    kernels: Mapping[str, Float[Array, "in out"]],
    criterion: str,
    *,
    norms: Mapping[str, Float[Array, "in"]] | None = None,
    code_norms: Mapping[str, Float[Array, "in"]] | None = None,
    compat: str = "corrected",
    seed: int = 0,
    layer: int | Array = 0,
) -> dict[str, Float[Array, "in out"]]:
    """Scores of the kernels of one block, by kernel path; pure, fit for jit and vmap.

    Args:
        kernels: `[in, out]` by path within the block, such as `attention/query/kernel`.
        criterion: `wanda`, `refined`, `magnitude` or `random`.
        norms: input feature norms `[in]` by kernel path; for `wanda` and `refined` (translation).
        code_norms: the same on code; for `refined`.
        compat: for `refined`, see `refined_norm`.
        seed: for `random`; static.
        layer: index of the block, for `random`; may be traced. The scores depend on nothing but
            the seed, the layer, the path and the shape.

    Raises:
        InputError: unknown criterion or compat, norms that are missing or do not fit their kernel.
    """
    _check_choice("criterion", criterion, CRITERIA)
    if criterion == "magnitude":
        return {path: magnitude_score(kernel) for path, kernel in kernels.items()}
    if criterion == "random":
        # The implementation is spelled out: jax_default_prng_impl must not change the masks.
        key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), layer)
        return {
            path: random_score(jax.random.fold_in(key, zlib.crc32(path.encode())), kernel.shape)
            for path, kernel in kernels.items()
        }
    result = {}
    for path, kernel in kernels.items():
        norm = _norm_of("norms", norms, path, kernel)
        if criterion == "refined":
            norm = refined_norm(norm, _norm_of("code_norms", code_norms, path, kernel), compat)
        result[path] = wanda_score(kernel, norm)
    return result


def wanda(
    params: Mapping[str, Any], stats: ActivationStats, role: str | None = None
) -> dict[str, Any]:
    """Scores |W_ij| * ||X_j||_2 of every kernel that `stats` has inputs for.

    Args:
        params: the model's parameters, leaves of `params["blocks"]` stacked `[L, ...]`.
        stats: activation norms by site, `[L, D]`.
        role: whose norms; may be left out when `stats` has one role only.

    Returns:
        {"blocks": {... kernel: float32 [L, in, out]}}, the pruned kernels only.

    Raises:
        InputError: a role or kernel that is not there, a norm that does not fit its kernel.
    """
    if role is None:
        if len(stats.roles) != 1:
            raise InputError(
                f"role: not set; allowed: {', '.join(stats.roles)}, as stats holds several"
            )
        role = stats.roles[0]
    return _stacked_scores(_kernels_read(params, stats), "wanda", norms=_norms(stats, role))


def refined(
    params: Mapping[str, Any], stats: ActivationStats, compat: str = "corrected"
) -> dict[str, Any]:
    """Scores with the paper's refined metric: translation norms over code norms.

    Args and returns are as for `wanda`; `stats` needs the roles `translation` and `code`, `compat`
    is that of `refined_norm`.

    Raises:
        InputError: a role or kernel that is not there, a norm that does not fit its kernel.
    """
    return _stacked_scores(
        _kernels_read(params, stats),
        "refined",
        norms=_norms(stats, "translation"),
        code_norms=_norms(stats, "code"),
        compat=compat,
    )


def magnitude(params: Mapping[str, Any]) -> dict[str, Any]:
    """Scores |W_ij| of every kernel in the blocks; shapes as in `wanda`."""
    return _stacked_scores(_kernels(params), "magnitude")


def random(params: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    """Random scores of every kernel in the blocks; shapes as in `wanda`."""
    return _stacked_scores(_kernels(params), "random", seed=seed)


def _stacked_scores(
    kernels: Mapping[str, Array],
    criterion: str,
    norms: Mapping[str, Array] | None = None,
    code_norms: Mapping[str, Array] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """`block_scores` of every layer, as a tree of stacked leaves."""

    def one(
        kernels: Mapping[str, Array],
        norms: Mapping[str, Array] | None,
        code_norms: Mapping[str, Array] | None,
        layer: Array,
    ) -> dict[str, Array]:
        return block_scores(
            kernels, criterion, norms=norms, code_norms=code_norms, layer=layer, **options
        )

    layers = jnp.arange(len(next(iter(kernels.values()))))
    scores = jax.vmap(one)(kernels, norms, code_norms, layers)
    return {"blocks": traverse_util.unflatten_dict(scores, sep="/")}


def _kernels(params: Mapping[str, Any]) -> dict[str, Array]:
    """Every kernel of the blocks, by path: the linear layers, which are what is pruned."""
    leaves = traverse_util.flatten_dict(params["blocks"], sep="/")
    return {path: jnp.asarray(leaf) for path, leaf in leaves.items() if path.endswith("/kernel")}


def _kernels_read(params: Mapping[str, Any], stats: ActivationStats) -> dict[str, Array]:
    """The kernels that `stats` has inputs for."""
    kernels = _kernels(params)
    for path, site in stats.sites:
        if path not in kernels:
            raise InputError(f"blocks/{path}: stats has its inputs ({site}), params has no such")
    return {path: kernels[path] for path, _ in stats.sites}


def _norms(stats: ActivationStats, role: str) -> dict[str, Array]:
    _check_choice("role", role, tuple(stats.roles))
    by_site = stats.norms(role)
    return {path: jnp.asarray(by_site[site]) for path, site in stats.sites}


def _norm_of(name: str, norms: Mapping[str, Array] | None, path: str, kernel: Array) -> Array:
    if norms is None or path not in norms:
        raise InputError(f"{name}: {path} has none, and the criterion needs one for every kernel")
    if norms[path].shape != kernel.shape[:-1]:
        raise InputError(
            f"{name}: {path} has shape {norms[path].shape}, its kernel {kernel.shape} needs "
            f"{kernel.shape[:-1]}"
        )
    return norms[path]


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name}: got {value!r}; allowed: {', '.join(allowed)}")
