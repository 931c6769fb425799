"""Operations of the roofline against what the products of a traced pass count."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from roofline import flops
from shaped_configs import CONFIGS

from jaxprune.devices.sharding import device_mesh
from jaxprune.models.model import kernel_shapes, modules, site_widths
from jaxprune.pruning.budget import Budget
from jaxprune.pruning.criterion import Inputs, key_of_seed
from jaxprune.pruning.methods import METHODS
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.settings import Settings
from jaxprune.stats.inverse_factor import inverse_factor
from jaxprune.stats.statistics.gram import gram
from jaxprune.stats.walk import Context, run_segment
from jaxprune.steps.planning.costs import Work


def inside(equation):
    """The programs that an operation runs."""
    for value in equation.params.values():
        for part in value if isinstance(value, (tuple, list)) else [value]:
            program = getattr(part, "jaxpr", part)
            if hasattr(program, "eqns"):
                yield program


def products(jaxpr):
    """Operations of all products in a traced program, those in loops as often as these run."""
    total = 0
    for equation in jaxpr.eqns:
        inner = sum(products(part) for part in inside(equation))
        total += inner * equation.params.get("length", 1)
        if equation.primitive.name == "dot_general":
            (left, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            depth = np.prod([shape[axis] for axis in left], dtype=int)
            total += 2 * equation.outvars[0].aval.size * depth
    return total


@pytest.mark.parametrize(
    ("name", "propagate", "rel"),
    [
        ("xglm", "block", 0.03),
        ("xglm", "dense", 0.03),
        ("xglm", "site", 0.03),
        ("mistral", "block", 0.05),
    ],
)
def test_operations_are_those_of_the_traced_products(name, propagate, rel):
    config, rows, length = CONFIGS[name], 2, 512
    block = modules(config).block[1]
    x = jax.ShapeDtypeStruct((rows, length, config.d_model), jnp.float32)
    valid = jax.ShapeDtypeStruct((rows, length), bool)
    widths = dict(enumerate(site_widths(config).values(), start=1))
    total = 0
    for layer in range(config.n_layers):
        for step in PROPAGATIONS[propagate].steps:
            segment = step.segment
            if layer + 1 == config.n_layers:
                if not segment.measures:
                    continue
                # nothing needs the output; XLA drops the product, tracing would count it
                segment = dataclasses.replace(segment, stop=min(segment.stop, len(widths)))
            state = x
            if segment.start:
                u = jax.ShapeDtypeStruct((rows, length, widths[segment.start]), jnp.float32)
                state = (x, u)
            traced = run_segment.trace(
                (block, None), state, Context(valid), config=config, mesh=device_mesh(1), segment=segment
            )  # fmt: skip
            total += products(traced.jaxpr.jaxpr)
    predicted = flops(Work(config=config, groups=((rows, length),), propagate=propagate))
    # attention in chunks of 64 queries computes a little more than half of its square, or than its windows
    assert predicted == pytest.approx(total, rel=rel)
    assert predicted <= total


def test_operations_of_sparsegpt_are_those_of_the_traced_products():
    """Of its Gram matrices, their factors and updates."""
    config, rows, length = CONFIGS["xglm"], 2, 512
    method, total = METHODS["sparsegpt"], 0
    for width in site_widths(config).values():
        u = jax.ShapeDtypeStruct((1, length, width), jnp.float32)
        valid = jax.ShapeDtypeStruct((1, length), bool)
        total += rows * products(jax.make_jaxpr(gram)(u, valid).jaxpr)
        matrix = jax.ShapeDtypeStruct((width, width), jnp.float32)
        total += products(jax.make_jaxpr(inverse_factor)(matrix, 1.0).jaxpr)
    for path, (inputs, outputs) in kernel_shapes(config).items():
        found = {"factor": jnp.eye(inputs), "dead": jnp.zeros(inputs, bool)}
        given = Inputs({}, path, 0, key_of_seed(0), "corrected", {"demonstrations": found})
        kernel = jax.ShapeDtypeStruct((inputs, outputs), jnp.float32)
        budget = jax.device_put(Budget.of(Settings(), path, (inputs, outputs)))
        traced = jax.make_jaxpr(
            lambda kernel, given=given, budget=budget: method.prune(kernel, given, budget)
        )
        total += products(traced(kernel).jaxpr)
    work = Work(config=config, groups=((rows, length),))
    more = flops(dataclasses.replace(work, gram=True)) - flops(work)
    assert more / config.n_layers == pytest.approx(total, rel=0.1)
