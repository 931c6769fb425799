"""Compiled programs that prune the kernels of a block by a method, on all devices."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from jaxprune.base.errors import InputError
from jaxprune.devices.compiled import compiled
from jaxprune.devices.sharding import EVERY, WHOLE
from jaxprune.pruning.budget import VARIANT, Budget
from jaxprune.pruning.criterion import Criterion, Inputs, kernel_scores
from jaxprune.pruning.method import Method, Prepared, Pruned

# Columns of a kernel that a method prunes at a time if its columns are independent.
STRIPE = 128


@functools.partial(compiled, static_argnames=("method", "mesh"))
def prune_compiled(
    kernels: Mapping[str, Any],
    inputs: Mapping[str, Inputs],
    budgets: Mapping[str, Budget],
    *,
    method: Method | Criterion,
    mesh: Mesh,
) -> tuple[dict[str, Pruned], dict[str, Any]]:
    """Prunes kernels of a block; one program serves every layer, seed and sparsity.

    Args:
      kernels: [in, out] by path, like `inputs` and `budgets`.

    Returns:
      By path: the pruned kernels; bool [1, out], True at columns with allowed scores, if the criterion requires them.
    """
    if isinstance(method, Method):
        pruned = {
            path: _in_stripes(method, kernel, inputs[path], budgets[path], mesh)
            for path, kernel in kernels.items()
        }
        return pruned, {}

    def score(kernels: Mapping[str, Any], inputs: Mapping[str, Inputs]) -> dict[str, Any]:
        return {p: kernel_scores(method, kernel, inputs[p]) for p, kernel in kernels.items()}

    def rank(scores: Mapping[str, Any], budgets: Mapping[str, Budget]) -> tuple[Any, Any]:
        pruned = {path: Pruned(budgets[path].keep(score)) for path, score in scores.items()}
        allowed = {p: jnp.isfinite(score) for p, score in scores.items()}
        for path, score in scores.items():
            if budgets[path].threshold == VARIANT:  # cumulative sums
                allowed[path] &= score >= 0
        finite = {path: score.all(axis=0, keepdims=True) for path, score in allowed.items()}
        return pruned, finite if method.finite else {}

    if not method.by_column:  # sums over columns need all of them
        score = _on_devices(score, mesh, WHOLE)
    scores = score(kernels, inputs)
    by_row = all(budget.by_row for budget in budgets.values())
    if by_row and all(kernel.shape[1] % mesh.size == 0 for kernel in kernels.values()):
        rank = _on_devices(rank, mesh, PartitionSpec(None, EVERY))
    return rank(scores, budgets)


def _on_devices(function: Any, mesh: Mesh, spec: PartitionSpec) -> Any:
    """`function(arrays, rest)` on each device, with its shards of `arrays` and all of `rest`."""
    # check_vma would take the initial constants of the selection's loops for replicated values
    return jax.shard_map(
        function, mesh=mesh, in_specs=(spec, WHOLE), out_specs=spec, check_vma=False
    )


def _in_stripes(method: Method, kernel: Any, inputs: Inputs, budget: Budget, mesh: Mesh) -> Pruned:
    """Prunes a kernel in stripes of columns that are distributed over the devices.

    Rounding of sums depends on shapes, so the width of stripes does not depend on the number of devices.
    """
    rows, columns = kernel.shape
    is_cut = budget.by_row and columns % STRIPE == 0
    stripes = kernel.reshape(rows, -1, STRIPE if is_cut else columns).swapaxes(0, 1)

    def prune(stripes: Any, arguments: tuple[Inputs, Budget]) -> Pruned:
        return jax.lax.map(lambda stripe: _checked(method, stripe, *arguments), stripes)

    spec = PartitionSpec(EVERY) if len(stripes) % mesh.size == 0 else WHOLE
    pruned = _on_devices(prune, mesh, spec)(stripes, (inputs, budget))
    return jax.tree.map(lambda part: part.swapaxes(0, 1).reshape(kernel.shape), pruned)


def prune_whole(
    kernels: Mapping[str, Any],
    inputs: Mapping[str, Inputs],
    budgets: Mapping[str, Budget],
    sites: Mapping[str, str],
    *,
    methods: Mapping[str, Method],
    mesh: Mesh,
) -> tuple[dict[str, Pruned], dict[str, float]]:
    """Prunes each kernel on one device, the most expensive first, on the device with the least work.

    Args:
      kernels: [in, out] by path, like `inputs`, `budgets` and `sites`.
      methods: by path; methods of kernels that read one site prepare its statistics alike.

    Returns:
      On the host, the pruned kernels by path, and the damping by site if the method prepares statistics.
    """
    work = dict.fromkeys(mesh.devices.flat, 0)
    pruned: dict[str, Pruned] = {}
    prepared: dict[str, Prepared] = {}

    def cost(path: str) -> int:
        rows, columns = kernels[path].shape
        return rows * rows * columns

    for path in sorted(kernels, key=cost, reverse=True):
        device = min(work, key=lambda candidate: work[candidate])
        work[device] += cost(path)
        method, kernel_inputs, site = methods[path], inputs[path], sites[path]
        if method.prepare is not None:
            if site not in prepared:
                measured = jax.device_put((kernel_inputs.stats, kernel_inputs.tokens), device)
                prepared[site] = _prepared(*measured, prepare=method.prepare)
            kernel_inputs = dataclasses.replace(kernel_inputs, stats=prepared[site].stats)
        if method.on_host:
            pruned[path] = _checked(method, kernels[path], kernel_inputs, budgets[path])
            continue
        on_device = jax.device_put((kernels[path], kernel_inputs, budgets[path]), device)
        pruned[path] = _whole(*on_device, method=method)
    damping = {site: shared.damping for site, shared in prepared.items()}
    on_host, damping_on_host = jax.device_get((pruned, damping))
    return on_host, {site: float(added) for site, added in damping_on_host.items()}


@functools.partial(compiled, static_argnames="prepare")
def _prepared(stats: Any, tokens: Any, *, prepare: Callable[..., Prepared]) -> Prepared:
    with jax.default_matmul_precision("float32"):
        return prepare(stats, tokens)


@functools.partial(compiled, static_argnames="method")
def _whole(kernel: Any, inputs: Inputs, budget: Budget, *, method: Method) -> Pruned:
    with jax.default_matmul_precision("float32"):
        return _checked(method, kernel, inputs, budget)


def _checked(method: Method, kernel: Any, inputs: Inputs, budget: Budget) -> Pruned:
    """The result of the method; InputError for arrays of another shape, which could broadcast."""
    pruned = method.prune(kernel, inputs, budget)
    for array in (pruned.keep, pruned.kernel):
        if array is not None and array.shape != kernel.shape:
            raise InputError(
                f"criterion {method.name}: {inputs.path}: got shape {array.shape}; expected {kernel.shape}"
            )
    return pruned
