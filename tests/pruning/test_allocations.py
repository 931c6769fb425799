"""Sparsity by block: what each allocation measures, the shares that follow, and what runs make of them."""

import dataclasses
import json
from statistics import NormalDist

import jax.numpy as jnp
import numpy as np
import pytest
from compiling import compiling
from device_jobs import batch, xglm_shaped
from flax.traverse_util import flatten_dict
from torch_loop import divergence_with

import jaxprune as jp
from jaxprune.data.batches import SetKey
from jaxprune.devices.sharding import device_mesh
from jaxprune.models.model import family_of
from jaxprune.pruning.allocated import kernel_shares, layer_shares, measure_blocks
from jaxprune.pruning.allocations import ALLOCATIONS, alpha, fitted, predictions
from jaxprune.pruning.allocations.allocation import Allocation, Blocks

NANO = "jaxprune/nano/checkpoints/bloom"
PARAMETERS = {"arithmetic": {"slope": 0.2}}


@pytest.fixture(scope="module")
def model():
    return jp.load(NANO)


@pytest.fixture(scope="module")
def batches(model):
    """Two languages of the same number of samples but not of tokens, and code."""
    found = jp.demonstrations(
        model.tokenizer, "nano", kind="monolingual", source="fr,sw", samples=8, max_length=48
    )
    return [*found, batch("code", 3, 24, model.config.vocab_size, 5)]


@pytest.fixture(scope="module")
def stats(model, batches):
    return jp.probe(model, batches, progress=False)


def kernels_of(model, layer):
    flat = flatten_dict(model.block(layer), sep="/")
    return {
        p: (np.abs(flat[p]).astype(np.float64), s) for p, s in family_of(model.config).sites.items()
    }


def squares(stats, site, layer, *keys):
    return sum(stats.sums[key][site]["squares"][layer] for key in keys)


FR, SW = SetKey("monolingual", "fr"), SetKey("monolingual", "sw")


def measured(model, batches, allocation, **more):
    settings = jp.Settings(allocation=allocation, sparsity=0.5)
    return measure_blocks(model, batches, settings, progress=False, **more)


def test_owl_counts_outliers_of_a_block(model, batches, stats):
    want = []
    for layer in range(model.config.n_layers):
        scores = [
            (w * np.sqrt(squares(stats, site, layer, FR, SW))[:, None]).ravel()
            for w, site in kernels_of(model, layer).values()
        ]
        every = np.concatenate(scores)
        want.append(100 * np.mean(every > 5 * every.mean()))
    got = measured(model, batches, "owl")
    np.testing.assert_allclose(got, want, atol=100 * 2 / every.size)  # a score at the limit
    assert measured(model, [], "owl", stats=stats) == got

    density = (np.array(want) - min(want)) / (max(want) - min(want)) * 2 * 0.08
    density += 1 - 0.5 - density.mean()
    shares = layer_shares(
        model.config, kernel_shares(model.config, jp.Settings(allocation="owl", sparsity=0.5), got)
    )
    np.testing.assert_allclose(shares, 1 - density, atol=1e-3)
    assert max(shares) - min(shares) == pytest.approx(0.16)


def test_predictions_are_measured_without_half_of_each_kernel(model):
    batches = jp.demonstrations(
        model.tokenizer, "nano", kind="monolingual", source="fr,sw", samples=2, max_length=48
    )
    squares = jp.probe(model, batches, progress=False).sums
    got = measured(model, batches, "predictions")
    for layer, name, site, linear in (
        (0, "mlp/up", "mlp_in", "mlp.dense_h_to_4h"),
        (2, "mlp/out", "mlp_out", "mlp.dense_4h_to_h"),
    ):
        kernel = np.array(flatten_dict(model.block(layer), sep="/")[f"{name}/kernel"], np.float32)
        total = sum(squares[key][site]["squares"][layer] for key in (FR, SW))
        scores = np.abs(kernel) * np.sqrt(total)[:, None]
        np.put_along_axis(kernel, scores.argsort(axis=0)[: len(kernel) // 2], 0, axis=0)
        expected = divergence_with(model.folder, batches, layer, linear, kernel)
        assert got[layer][name] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("sparsity", [0.02, 0.3, 0.5, 0.9])
def test_kernels_that_cost_more_a_weight_lose_less(sparsity):
    """Thresholds of normally distributed scores are in proportion to the cube root of weights by cost."""
    rng = np.random.default_rng(0)
    names, most = ("a", "b", "c"), 0.99
    kernels = [{name: int(rng.integers(10, 1000)) for name in names} for _ in range(5)]
    costs = [{name: float(rng.gamma(0.5)) for name in names} for _ in range(5)]
    del kernels[3]["b"]  # ignored
    blocks = Blocks([sum(k.values()) for k in kernels], sparsity, costs, kernels=kernels)
    found = predictions.shares(blocks)
    assert found[3].pop("b") == 0
    pairs = [(layer, name) for layer, block in enumerate(kernels) for name in block]
    sizes, shares, paid = (np.array([m[i][n] for i, n in pairs]) for m in (kernels, found, costs))
    assert np.average(shares, weights=sizes) == pytest.approx(sparsity, abs=1e-9)
    below = (shares > 1e-9) & (shares < most - 1e-9)
    thresholds = [NormalDist().inv_cdf((1 + share) / 2) for share in shares[below]]
    ratios = np.array(thresholds) / np.cbrt(sizes / np.maximum(paid, 1e-6 * paid.max()))[below]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-5)
    assert below.sum() > 4


def test_an_allocation_that_reads_samples_takes_no_statistics(model, stats):
    with pytest.raises(jp.InputError, match="got predictions, which reads samples"):
        measured(model, [], "predictions", stats=stats)


def plain_alpha(kernel):
    """Hill's estimator with λ_min near the peak of the histogram, in float64 and one fit after the other."""
    eigs = np.sort(np.linalg.svd(kernel.astype(np.float64), compute_uv=False) ** 2)
    counts, edges = np.histogram(np.log10(eigs), 100)
    peak = 10 ** edges[np.argmax(counts)]
    best = np.inf, None
    for i, least in enumerate(eigs[:-1]):
        if 0.95 * peak <= least <= 1.5 * peak:
            tail = eigs[i:]
            n = len(tail)
            found = 1 + n / (np.sum(np.log(tail)) - n * np.log(least))
            distance = np.max(np.abs(1 - (tail / least) ** (1 - found) - np.arange(n) / n))
            best = min(best, (distance, found))
    return best[1]


@pytest.mark.parametrize("shape", [(48, 80), (96, 40), (64, 64)])
def test_alpha_is_the_exponent_of_the_best_fit(shape):
    rng = np.random.default_rng(sum(shape))
    left, _ = np.linalg.qr(rng.standard_normal((shape[0], min(shape))))
    right, _ = np.linalg.qr(rng.standard_normal((shape[1], min(shape))))
    for kernel in (
        rng.standard_normal(shape),
        (left * rng.pareto(3, min(shape)).clip(1e-2)) @ right.T,
    ):
        got = float(alpha.exponent(jnp.asarray(kernel, jnp.float32)))
        assert got == pytest.approx(plain_alpha(kernel), rel=2e-3)


def test_alpha_shares_follow_the_paper():
    found = np.array(alpha.shares(Blocks([10, 30, 10], 0.5, [2.0, 3.0, 4.0])))
    ratios = np.array([0.7, 1.0, 1.3])  # linear in α between 1 ± 0.3; then one factor for all
    np.testing.assert_allclose(found, 0.5 * ratios * 50 / (ratios @ [10, 30, 10]))


@pytest.mark.parametrize("shares", [fitted.kept_by_measure, alpha.shares])
@pytest.mark.parametrize("sparsity", [0.0, 0.02, 0.3, 0.7, 0.9, 0.97, 0.995])
def test_measured_shares_meet_the_overall_sparsity(shares, sparsity):
    rng = np.random.default_rng(0)
    for sizes in ([7] * 12, rng.integers(1, 9, 12).tolist(), [0, *rng.integers(1, 9, 11).tolist()]):
        found = np.array(shares(Blocks(sizes, sparsity, rng.gamma(1, 2, 12).tolist())))
        assert found.min() >= 0
        assert found.max() < 1
        assert np.average(found, weights=sizes) == pytest.approx(sparsity, abs=1e-9)
        assert shares(Blocks(sizes, sparsity, [3.5] * 12)) == [sparsity] * 12


@pytest.mark.parametrize("shares", [fitted.kept_by_measure, alpha.shares])
def test_a_block_without_weights_to_drop_does_not_count(shares):
    without = shares(Blocks([20, 30], 0.5, [2.0, 3.0]))
    np.testing.assert_allclose(shares(Blocks([20, 0, 30], 0.5, [2.0, 9.0, 3.0]))[::2], without)


def test_arithmetic_rises_evenly(model):
    settings = jp.Settings(allocation="arithmetic", slope=-0.3, sparsity=0.5)
    found = layer_shares(model.config, kernel_shares(model.config, settings))
    assert found[-1] - found[0] == pytest.approx(-0.3)
    np.testing.assert_allclose(np.diff(found), -0.1)
    assert np.mean(found) == pytest.approx(0.5)
    listed = jp.Settings(allocation=[np.float32(0.25), 0.5, 0.75, 0.5], sparsity=0.5)
    assert layer_shares(model.config, kernel_shares(model.config, listed)) == [0.25, 0.5, 0.75, 0.5]
    steep = dataclasses.replace(
        settings, slope=-0.9, ignore="0/*"
    )  # block 0 would have a share below 0
    assert [bool(of_layer) for of_layer in kernel_shares(model.config, steep)] == [
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("criterion", "allocation"),
    [
        *(("wanda", allocation) for allocation in ALLOCATIONS),
        *((criterion, "owl") for criterion in ("magnitude", "sparsegpt", "refined")),
    ],
)
def test_every_criterion_drops_what_is_asked(criterion, allocation, model, batches):
    """In each layer, within one weight a column, and at the end over all."""
    how = {"allocation": allocation, "sparsity": 0.5, **PARAMETERS.get(allocation, {})}
    result = jp.prune(model, batches, criterion=criterion, progress=False, **how)
    settings = jp.Settings(criterion=criterion, **how)
    shares = kernel_shares(
        model.config, settings, measure_blocks(model, batches, settings, progress=False)
    )
    for path, masks in flatten_dict(result.masks["blocks"], sep="/").items():
        for layer, mask in enumerate(masks):
            dropped = (~mask).sum() / mask.shape[1]
            assert 0 <= mask.shape[0] * shares[layer][path] - dropped < 1.001
    assert 0 <= 0.5 - result.report["sparsity"]["overall"] < 1 / 128
    layers = result.report["sparsity"]["layers"]
    assert (max(layers) - min(layers) > 0.05) == (allocation != "uniform")


def test_a_function_distributes_the_sparsity_as_its_list_does(model, batches):
    def falling(blocks):
        return list(blocks.sparsity + np.linspace(0.1, -0.1, len(blocks.sizes)))

    settings = {"sparsity": 0.5, "progress": False}
    by_function = jp.prune(model, batches, allocation=falling, **settings)
    by_list = jp.prune(model, batches, allocation=falling(Blocks([1] * 4, 0.5)), **settings)
    assert jp.masks.overlap(by_function.masks, by_list.masks).overall == 1
    assert by_function.report["sparsity"]["layers"][0] > 0.55
    with pytest.raises(jp.InputError, match=r"^allocation <lambda>: drops 0\.4 of all"):
        jp.prune(model, batches, allocation=lambda blocks: [0.4] * 4, **settings)


def test_a_measure_reads_the_values_of_its_time(model):
    scale = 1.0

    def measure(kernels, _):
        return scale * sum(abs(kernel).sum() for kernel in kernels.values())

    own = Allocation("own", "", lambda blocks: [blocks.sparsity] * len(blocks.sizes), measure)

    def measured():
        settings = jp.Settings(criterion="magnitude", allocation=own)
        return np.array(measure_blocks(model, [], settings, progress=False))

    once, scale = measured(), 2.0
    np.testing.assert_array_equal(measured(), 2 * once)
    scale = np.ones(3)
    with pytest.raises(jp.InputError, match=r"layer 0: allocation own: got .*; expected a finite"):
        measured()


@pytest.mark.parametrize("allocation", ["owl", "alpha"])
def test_a_measure_compiles_once_for_all_blocks(allocation):
    width = 116 + 8 * ["owl", "alpha"].index(allocation)  # of no other test
    model, mesh = xglm_shaped(4, width, 132), device_mesh(1)
    text = batch("text", 6, 24, model.config.vocab_size, 1)
    samples = [dataclasses.replace(text, languages=("fr", "sw") * 3)]
    settings = jp.Settings(allocation=allocation, sparsity=0.5)

    def programs():
        with compiling() as counted:
            measure_blocks(model, samples, settings, mesh=mesh, progress=False)
        return counted.programs

    # embedding, check of a block's input, the segment; and the measure
    assert programs() == (1 if allocation == "alpha" else 4)
    assert programs() == 0


def test_shares_may_be_listed(model, tmp_path):
    names = [path.removesuffix("/kernel") for path in family_of(model.config).sites]
    by_kernel = dict.fromkeys(names, 0.5) | {"mlp/up": 0.25, "mlp/out": 0.75}
    listed = {"0": 0.6, "1": by_kernel, "2": 0.4, "3": 0.5}
    file = tmp_path / "shares.json"
    file.write_text(json.dumps(listed))

    def prune(allocation):
        return jp.prune(
            model, criterion="magnitude", sparsity=0.5, allocation=allocation, progress=False
        )

    found = prune(listed)
    assert jp.masks.overlap(prune(str(file)).masks, found.masks).overall == 1
    np.testing.assert_allclose(found.report["sparsity"]["layers"], [0.6, 0.5, 0.4, 0.5], atol=0.01)
    masks = flatten_dict(found.masks["blocks"], sep="/")
    assert masks["mlp/up/kernel"][1].mean() == 0.75
    assert masks["mlp/out/kernel"][1].mean() == 0.25
    assert jp.Settings(allocation=listed) == jp.Settings(allocation=str(file))
    assert jp.Settings(allocation=listed) != jp.Settings(allocation=[0.6, 0.5, 0.4, 0.5])


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ('{"0": 0.5, "1": 0.5, "2": 0.5, "5": 0.5}', "got shares of layers 0, 1, 2, 5"),
        ("[0.5, 0.5, 0.5, 1.0]", r"listed: got \[0.5, 0.5, 0.5, 1.0\]; expected 4 shares s with 0 <= s < 1"),
        ('[0.5, 0.5, 0.5, {"mlp/up": 0.5}]', "layer 3: got .'mlp/up'.; expected a share, or one of each of att"),
        ("[0.5, 0.5, 0.5, 0.6]", "drops 0.525 of all weights; expected 0.5"),
        ("[0.5, 0.5", "not JSON"),
    ],
)  # fmt: skip
def test_wrong_lists_are_refused(listed, message, model):
    with pytest.raises(jp.InputError, match=message):
        jp.prune(model, criterion="magnitude", sparsity=0.5, allocation=listed, progress=False)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ignore": "9/*"}, "ignore: got '9/.'; expected patterns that match a kernel, such as 3/mlp/out; a block has"),
        ({"ignore": "*"}, "ignore: . match all kernels"),
        ({"allocation": "owl"}, "batches: allocation owl needs one calibration set, got none"),
    ],
)  # fmt: skip
def test_what_a_model_cannot_do_is_refused(fields, message, model):
    with pytest.raises(jp.InputError, match=message):
        jp.prune(model, criterion="magnitude", progress=False, **fields)


@pytest.mark.parametrize("how", [
    {"criterion": "sparsegpt"}, {"criterion": "wanda", "pattern": "2:4"}, {"allocation": "owl"},
    {"criterion": "ria", "group": "kernel"},
])  # fmt: skip
def test_ignored_kernels_stay_as_they_are(how, model, batches):
    """All their weights are kept, with their bits; the requested sparsity is that of the others."""
    result = jp.prune(
        model, batches, ignore="0/*,*/mlp/out", progress=False, **{"sparsity": 0.5} | how
    )
    dense = flatten_dict(model.params["blocks"], sep="/")
    after = flatten_dict(result.params["blocks"], sep="/")
    dropped = total = 0
    for path, masks in flatten_dict(result.masks["blocks"], sep="/").items():
        assert masks.dtype == bool
        assert masks.shape == dense[path].shape
        for layer, mask in enumerate(masks):
            if layer == 0 or path == "mlp/out/kernel":
                assert mask.all()
                assert after[path][layer].tobytes() == np.asarray(dense[path][layer]).tobytes()
            else:
                dropped, total = dropped + (~mask).sum(), total + mask.size
    assert dropped / total == pytest.approx(0.5, abs=0.01)


def test_a_pattern_need_not_fit_ignored_kernels(model):
    settings = {"criterion": "magnitude", "pattern": "1:512", "progress": False}
    with pytest.raises(jp.InputError, match="expected a multiple of 512"):
        jp.prune(model, **settings)
    found = jp.prune(model, ignore="*/attention/*,*/mlp/up", **settings)
    assert found.report["sparsity"]["kernels"]["mlp/out/kernel"] == 511 / 512
