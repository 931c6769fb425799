"""Training under masks: what was dropped stays +0, whatever the optimiser does; the rest is trained as without."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict

from jaxprune.base.errors import InputError
from jaxprune.pruning import masks

# Rules that move a weight without a gradient of its own: decay and momentum, statistics of rows and columns.
RULES = {
    "adamw": optax.adamw(0.1, weight_decay=0.5),
    "adafactor": optax.adafactor(0.1, min_dim_size_to_factor=2, weight_decay_rate=0.1),
}


def trees(dtype=np.float32, seed=0):
    """Parameters of two blocks, pruned; their masks; gradients."""
    rng = np.random.default_rng(seed)
    shapes = {"up": (2, 6, 5), "out": (2, 5, 6)}
    keep = {"blocks": {"mlp": {n: {"kernel": rng.random(s) < 0.5} for n, s in shapes.items()}}}

    def numbers():
        mlp = {n: {"kernel": rng.standard_normal(s), "bias": rng.standard_normal((2, s[-1]))}
               for n, s in shapes.items()}  # fmt: skip
        tree = {"blocks": {"mlp": mlp}, "embed": {"tokens": rng.standard_normal((7, 6))}}
        return jax.tree.map(lambda x: jnp.asarray(x, dtype), tree)

    return masks.apply(numbers(), keep), keep, numbers()


def trained(rule, params, grads, steps=3):
    step = jax.jit(
        lambda g, s, p: (lambda u: (optax.apply_updates(p, u[0]), u[1]))(rule.update(g, s, p))
    )
    state = rule.init(params)
    for _ in range(steps):
        params, state = step(grads, state, params)
    return params, state


def at(tree, keep, kept):
    """Bits of the weights with a mask, of those that stay or of the others."""
    weights, by_path = flatten_dict(tree, sep="/"), flatten_dict(keep, sep="/")
    chosen = {p: np.asarray(weights[p])[mask == kept] for p, mask in by_path.items()}
    return {path: values.view(f"u{values.itemsize}") for path, values in chosen.items()}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("adamw", np.float32), ("adamw", ml_dtypes.bfloat16), ("adafactor", np.float32)],
)
def test_dropped_weights_stay_zero_and_kept_ones_move_as_without(name, dtype):
    params, keep, grads = trees(dtype)
    frozen, _ = trained(optax.chain(RULES[name], masks.freeze(keep)), params, grads)
    plain, _ = trained(RULES[name], params, grads)
    assert all((bits == 0).all() for bits in at(frozen, keep, False).values())  # +0, not -0
    assert any(bits.any() for bits in at(plain, keep, False).values())  # or nothing was at stake
    if name != "adafactor":  # which scales by the size of the whole kernel
        jax.tree.map(np.testing.assert_array_equal, at(frozen, keep, True), at(plain, keep, True))
        bias, unfrozen = (tree["blocks"]["mlp"]["up"]["bias"] for tree in (frozen, plain))
        np.testing.assert_array_equal(bias, unfrozen)
        assert (np.asarray(bias) != np.asarray(params["blocks"]["mlp"]["up"]["bias"])).mean() > 0.7


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gradients_that_are_no_numbers_do_not_reach_dropped_weights(bad):
    params, keep, grads = trees()
    spoilt = jax.tree.map(jnp.array, grads)
    for name in ("up", "out"):
        kernel = spoilt["blocks"]["mlp"][name]["kernel"]
        mask = keep["blocks"]["mlp"][name]["kernel"]
        spoilt["blocks"]["mlp"][name]["kernel"] = jnp.where(mask, kernel, bad)
    frozen, _ = trained(optax.chain(optax.adamw(0.1), masks.freeze(keep)), params, spoilt)
    want, _ = trained(optax.chain(optax.adamw(0.1), masks.freeze(keep)), params, grads)
    jax.tree.map(np.testing.assert_array_equal, frozen, want)
    # clipping takes the norm over all gradients, so it wants to see none of theirs
    rule = optax.chain(
        masks.freeze(keep), optax.clip_by_global_norm(1.0), optax.adamw(0.1), masks.freeze(keep)
    )
    clipped, _ = trained(rule, params, spoilt)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clipped))
    assert all((bits == 0).all() for bits in at(clipped, keep, False).values())


def test_packed_masks_and_masks_of_jax_are_the_same():
    params, keep, grads = trees()
    want, state = trained(masks.freeze(keep), params, grads)
    for same in (masks.pack(keep), jax.tree.map(jnp.asarray, keep)):
        got, other = trained(masks.freeze(same), params, grads)
        jax.tree.map(np.testing.assert_array_equal, got, want)
        jax.tree.map(np.testing.assert_array_equal, other, state)


def test_the_state_is_known_by_shape_and_where_it_has_parameters():
    """What sharding an optimiser's state by hand takes: shapes without memory, and optax's map over parameters."""
    params, keep, _ = trees()
    rule = optax.chain(optax.adam(0.1), masks.freeze(keep))
    state, shapes = rule.init(params), jax.eval_shape(rule.init, params)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == jax.tree.map(
        lambda x: (x.shape, x.dtype), shapes
    )
    names = jax.tree_util.tree_map_with_path(lambda path, _: jax.tree_util.keystr(path), params)
    named = optax.tree.map_params(
        rule, lambda _, name: name, state, names,
        is_leaf=lambda node: isinstance(node, optax.MaskedNode),
    )  # fmt: skip
    frozen = named[1].keep
    assert frozen["blocks"]["mlp"]["up"]["kernel"] == "['blocks']['mlp']['up']['kernel']"
    assert named[0][0].mu == names


def changed(keep):
    return {
        "blocks": {"mlp": {**keep["blocks"]["mlp"], "gate": {"kernel": np.ones((2, 6, 5), bool)}}}
    }


BAD = {
    "another kernel": (changed, r"masks: blocks/mlp/gate/kernel \(2, 6, 5\) has no parameter"),
    "fewer kernels": (
        lambda keep: {"blocks": {"mlp": {"up": keep["blocks"]["mlp"]["up"]}}},
        "masks: blocks/mlp/out/kernel has none; expected masks of all kernels",
    ),
    "one block": (
        lambda keep: jax.tree.map(lambda mask: mask[0], keep),
        r"masks: blocks/mlp/\w+/kernel is bool of shape .*; expected bool of the parameter's shape",
    ),
    "numbers": (lambda keep: jax.tree.map(np.float32, keep), "masks: .* is float32 of shape"),
    "no tree": (lambda keep: "masks.npz", "masks: got str; expected a nested dict of arrays"),
}  # fmt: skip


@pytest.mark.wrong_types
@pytest.mark.parametrize("case", BAD)
def test_masks_that_do_not_fit_are_refused(case):
    change, message = BAD[case]
    params, keep, _ = trees()
    for init in (lambda rule: rule.init(params), lambda rule: jax.jit(rule.init)(params)):
        with pytest.raises(InputError, match=f"^{message}"):
            init(masks.freeze(change(keep)))


def test_masks_are_no_constants_of_a_compiled_step():
    """They come with the state: a program of a model of any size holds none of its masks."""
    params, keep, grads = trees()
    rule = masks.freeze(keep)
    state = rule.init(params)
    jaxpr = jax.make_jaxpr(rule.update)(grads, state, params)
    assert not jaxpr.consts
