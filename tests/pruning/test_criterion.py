"""A criterion of the user's own, a function or a record: against Wanda's bits and plain numpy, and never stale."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from small_samples import one_shape, sequences

import jaxprune as jp
from jaxprune.pruning.criteria import CRITERIA
from jaxprune.pruning.method import Prepared
from jaxprune.pruning.methods import METHODS
from jaxprune.pruning.settings import Settings


def wanda(kernel, norm):
    return abs(kernel) * norm[:, None]


def batch(role="translation", seed=0):
    return one_shape(sequences(5, seed), role)


@pytest.fixture
def model(tiny_folder):
    return jp.load(tiny_folder("gpt2"))


@pytest.fixture
def prune(model):
    def prune(criterion, *batches, **settings):
        settings = {"sparsity": 0.4, "progress": False} | settings
        return jp.prune(model, batches or [batch()], criterion=criterion, **settings)

    return prune


def masks_of(result):
    return {
        p: np.asarray(mask) for p, mask in flatten_dict(result.masks["blocks"], sep="/").items()
    }


def assert_masks(one, other, *, equal=True):
    one, other = masks_of(one), masks_of(other)
    assert len(one) == len(other) == 4
    assert all(np.array_equal(one[path], other[path]) for path in one) == equal


SETTINGS = {
    "block": {},
    "variant": {"threshold": "variant"},
    "bfloat16": {"dtype": "bfloat16"},
}


@pytest.mark.parametrize("how", ["block", pytest.param("bfloat16", marks=pytest.mark.instructions)])
def test_wanda_as_a_function_gives_the_masks_of_wanda(how, prune):
    own = prune(lambda kernel, norm: abs(kernel) * norm[:, None], **SETTINGS[how])
    named = prune("wanda", **SETTINGS[how])
    assert_masks(own, named)
    jax.tree.map(np.testing.assert_array_equal, own.stats.sum_sq, named.stats.sum_sq)
    jax.tree.map(np.testing.assert_array_equal, own.params, named.params)


def test_masks_are_those_of_a_plain_loop(model, prune):
    def score(kernel, norm):
        return kernel**2 + 0.01 * norm[:, None]

    result = prune(score, propagate="dense")
    norms = result.stats.norms("translation")
    masks, kernels = masks_of(result), flatten_dict(model.params["blocks"], sep="/")
    for path, site in result.stats.sites:
        for layer, kernel in enumerate(np.asarray(kernels[path])):
            scores = np.float32(kernel**2) + np.float32(0.01) * norms[site][layer][:, None]
            dropped = np.argsort(scores, axis=0)[: int(0.4 * len(kernel))]
            keep = np.ones(kernel.shape, bool)
            np.put_along_axis(keep, dropped, False, axis=0)
            np.testing.assert_array_equal(masks[path][layer], keep)
    scores = jp.scores.tree_scores(score, model.params, result.stats)
    stepwise = flatten_dict(jp.masks.keep(scores, sparsity=0.4)["blocks"], sep="/")
    for path, mask in masks.items():
        np.testing.assert_array_equal(stepwise[path], mask)


@pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.instructions)]
)
def test_a_function_gets_float32_whatever_the_dtype_on_the_device(dtype, prune):
    seen = set()

    def score(kernel, norm):
        seen.add((kernel.dtype.name, norm.dtype.name, kernel.ndim, norm.shape == kernel.shape[:1]))
        return abs(kernel)

    prune(score, dtype=dtype)
    assert seen == {("float32", "float32", 2, True)}


@pytest.mark.parametrize(
    "scores",
    [
        lambda kernel, norm: abs(kernel) > 0.1,
        lambda kernel, norm: (1000 * abs(kernel)).astype(jnp.int32),
        lambda kernel, norm: np.arange(kernel.size).reshape(kernel.shape),
    ],
)
def test_scores_of_other_dtypes_count_as_float32(scores, prune):
    def as_float(kernel, norm):
        return jnp.asarray(scores(kernel, norm), jnp.float32)

    assert_masks(prune(scores), prune(as_float))


def test_one_function_is_never_taken_for_another(prune):
    """Neither one of the same name, nor one that looks up what has changed since, nor a name that means another now."""
    first, second = (lambda k, n, power=power: abs(k) ** power * n[:, None] for power in (1, 0))
    assert_masks(prune(first), prune("wanda"))
    assert_masks(prune(second), prune("wanda"), equal=False)

    power = 1

    def changing(kernel, norm):
        return abs(kernel) ** power * norm[:, None]

    record = jp.Criterion("own", "", lambda kernel, _: abs(kernel) ** power)
    before, of_record = prune(changing), prune(record)
    assert_masks(before, prune("wanda"))
    assert_masks(of_record, prune("magnitude"))
    power = 0
    assert_masks(prune(changing), prune(second))
    assert_masks(prune(record), of_record, equal=False)

    def prepare(stats, _):
        norms = jnp.sqrt(stats["demonstrations"]["squares"])
        return Prepared({"demonstrations": {"squares": norms**power}}, jnp.float32(0))

    def keep_highest(kernel, inputs, drop):
        norms = inputs.stats["demonstrations"]["squares"]
        return jp.Pruned(drop.keep(abs(kernel) * norms[:, None]))

    method = jp.Method(
        "own", "", keep_highest, needs=(("demonstrations", "squares"),), prepare=prepare
    )
    assert_masks(prune(method), prune("magnitude"))
    power = 1
    assert_masks(prune(method), prune("wanda"))


def test_a_record_put_in_place_of_another_is_heeded(prune, monkeypatch):
    plain = prune("wanda")
    size = CRITERIA["magnitude"].score
    replaced = dataclasses.replace(CRITERIA["wanda"], score=size)
    monkeypatch.setitem(METHODS, "wanda", replaced)
    assert_masks(prune("wanda"), prune("magnitude", propagate="block"))
    monkeypatch.undo()
    assert_masks(prune("wanda"), plain)


def test_a_record_reads_both_sets_and_its_key(model, prune):
    """The paper's refined metric and the random control as a user would write them."""

    def refined(kernel, inputs):
        ours, code = inputs.norms["demonstrations"], inputs.norms["code"]
        return abs(kernel) * (ours * (ours / code))[:, None]

    def random(kernel, inputs):
        return jax.random.uniform(inputs.key, kernel.shape)

    sets = [batch(), batch("code", seed=1)]
    own = jp.Criterion("mine", "", refined, measures=("demonstrations", "code"))
    assert_masks(prune(own, *sets), prune("refined", *sets))
    drawn = jp.prune(
        model, criterion=jp.Criterion("drawn", "", random), seed=3, sparsity=0.4, progress=False
    )
    named = jp.prune(model, criterion="random", seed=3, sparsity=0.4, progress=False)
    assert_masks(drawn, named)
    assert drawn.stats is None


def test_a_record_that_measures_code_alone_needs_no_other_set(prune):
    own = jp.Criterion(
        "code", "", lambda kernel, inputs: wanda(kernel, inputs.norms["code"]), measures=("code",)
    )
    assert_masks(prune(own, batch("code")), prune("wanda", batch()))


def test_settings_hash_and_compare_by_what_they_score_with(prune):
    class Scorer:
        __hash__ = None  # as that of a record with arrays

        def __call__(self, kernel, norm):
            return abs(kernel)

    assert_masks(prune(Scorer()), prune("magnitude", propagate="block"))
    own = Settings(criterion=Scorer())
    assert len({own, Settings(), Settings(criterion="wanda"), Settings(criterion="random")}) == 3
    assert own != Settings(criterion=own.criterion)  # what it looks up may have changed
    assert Settings() == Settings(criterion="wanda") != Settings(criterion="random")
    assert own.method.name == "Scorer"
    hash(Settings(criterion=jp.Criterion("own", "", wanda, measures=("code",))))


HERE = r"^layer 0, criterion \w+: attention/out/kernel: "
SCORES = r"; expected \(48, 48\), \[in, out\]"


def unfit(score):
    def own(kernel, norm):
        return score(kernel, norm)

    return own


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (lambda kernel, norm: None, HERE + ".*expected a function that JAX can compile"),
        (lambda kernel, norm: 1.0, HERE + r"got scores of shape \(\)" + SCORES),
        (lambda kernel, norm: norm, HERE + r"got scores of shape \(48,\)" + SCORES),
        (lambda kernel, norm: kernel if kernel[0, 0] > 0 else norm, HERE + ".*JAX can compile"),
    ],
)
def test_what_is_no_scores_is_refused(score, message, prune):
    for criterion in (unfit(score), jp.Criterion("own", "", lambda k, _: score(k, k[:, 0]))):
        with pytest.raises(jp.InputError, match=message):
            prune(criterion)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (
            lambda kernel, norm: abs(kernel) * norm,
            r".*ncompatible shapes for broadcasting.*expected .*norm\[:, None\]$",
        ),
        (lambda kernel, norm: abs(kernel.T) * norm, r"got scores of shape \(96, 48\) for a k"),
    ],
)
def test_scores_that_fit_square_kernels_alone_are_refused(score, message, tiny_folder):
    """The first kernels that are pruned are square, those of queries, keys and values."""
    model, where = jp.load(tiny_folder("xglm")), r"^layer 0, criterion own: attention/\w+/kernel: "
    with pytest.raises(jp.InputError, match=where + message):
        jp.prune(model, [batch()], criterion=unfit(score), propagate="site", progress=False)


@pytest.mark.parametrize(
    ("value", "how"), [(np.nan, "block"), (-np.inf, "block"), (np.inf, "variant")]
)
def test_scores_that_are_not_finite_are_refused(value, how, model, prune):
    """One score of one kernel, in the last layer."""
    worst = float(np.asarray(model.params["blocks"]["mlp"]["up"]["kernel"])[2, 5, 7])

    def score(kernel, norm):
        return jnp.where(kernel == worst, value, abs(kernel))

    message = "^layer 2, criterion score: mlp/up/kernel: got NaN.* infinity.* in 1 of 192 columns; "
    with pytest.raises(jp.InputError, match=message):
        prune(score, **SETTINGS[how])


def test_negative_scores_have_no_cumulative_sums(prune):
    message = (
        "got NaN, infinity or a negative score in .* columns; expected finite scores of at least 0"
    )
    with pytest.raises(jp.InputError, match=message):
        prune(lambda kernel, norm: jnp.log(abs(kernel) + 0.5), **SETTINGS["variant"])


def test_the_refined_metric_may_divide_by_zero_as_the_authors_code_does(prune):
    own = jp.Criterion("own", "", lambda kernel, _: kernel / 0, by_column=True)
    with pytest.raises(jp.InputError, match=r"layer 0, criterion own: .* NaN or infinity"):
        prune(own)
    prune(dataclasses.replace(own, finite=False))
    assert not CRITERIA["refined"].finite


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (
            lambda kernel: kernel,
            HERE.replace(r"\w+", "<lambda>") + ".* takes 1 positional argument",
        ),
        (lambda a, b, c: a, "missing 1 required positional argument"),
        (3, r"criterion: got 3; expected .* a function of \(kernel, norm\)"),
        ("wonda", r"criterion: got 'wonda'; .*did you mean wanda\?"),
        (jp.scores.wanda, "params: got .*; expected .*Model.params"),
    ],
)
def test_what_is_no_criterion_is_refused(criterion, message, prune):
    with pytest.raises(jp.InputError, match=message):
        prune(criterion)


def test_a_record_without_its_set_is_refused(prune):
    own = jp.Criterion("mine", "", lambda kernel, _: kernel, measures=("demonstrations", "code"))
    with pytest.raises(jp.InputError, match="batches: criterion mine needs a set with role 'code'"):
        prune(own, batch())
    with pytest.raises(
        jp.InputError, match="batches: criterion own needs one calibration set, got none"
    ):
        prune(unfit(wanda), batch("code"))
