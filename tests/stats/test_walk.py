"""The pass over blocks: the same bits on any number of devices, executables that depth does not multiply."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import compiling
from device_jobs import (
    CASES,
    OPTIMISED,
    QUICK,
    RUNS,
    batch,
    environment,
    in_a_process,
    on_eight_devices,
    optimised,
    parameters,
    pruned,
    run_case,
    xglm_shaped,
)

import jaxprune as jp
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.source import InMemory
from jaxprune.models.block import SITES
from jaxprune.models.config import LayerKind, ModelConfig, RopeConfig
from jaxprune.stats import walk
from jaxprune.stats.states import CalibrationStates, calibration_states
from jaxprune.stats.statistics import SQUARES
from jaxprune.stats.walk import (
    INPUT,
    OUTPUT,
    Context,
    Segment,
    rows_at_once,
    run_segment,
)


@pytest.fixture(scope="module")
def models(tmp_path_factory, tiny_folder):
    folder = tmp_path_factory.mktemp("models")
    for name in ("xglm", "bloom", "gpt2"):
        (folder / name).symlink_to(tiny_folder(name))
    return folder


def assert_same_bits(one, many, file):
    assert set(one) == set(many)
    assert len(one) >= 12
    for path, array in one.items():
        assert array.tobytes() == many[path].tobytes(), f"{file}: {path}"


@pytest.fixture(scope="module")
def alone(models):
    """A case on the one device of this process."""
    return functools.cache(lambda case: run_case(case, models, 1))


@pytest.fixture(scope="module")
def computes_otherwise(request):
    """Whether a file of `RUNS` is worth a run: with --other-cpu only those in bfloat16 differ."""
    other = request.config.getoption("--other-cpu")
    return lambda file: not other or CASES[RUNS[file][0]]["dtype"] == "bfloat16"


@pytest.mark.instructions
def test_masks_and_statistics_are_the_same_bits_on_any_mesh(
    alone, models, tmp_path, computes_otherwise
):
    files = [*filter(computes_otherwise, QUICK)]
    on_eight_devices("prune_all", models, tmp_path, *files)
    for file in files:
        case, _ = RUNS[file]
        with np.load(tmp_path / f"{file}.npz") as many:
            assert_same_bits(alone(case), dict(many), file)


@pytest.mark.instructions
def test_optimised_programs_give_the_same_bits_on_any_mesh_too(
    alone, models, tmp_path, computes_otherwise
):
    """And statistics as near to those of programs that are not optimised as rounding leaves them."""
    files = [*filter(computes_otherwise, OPTIMISED)]
    names = [*files, *(f"{file} alone" for file in files)]
    in_a_process(optimised(environment(8)), "prune_all", models, tmp_path, *names)
    for file in files:
        many, one = (dict(np.load(tmp_path / f"{name}.npz")) for name in (file, f"{file} alone"))
        assert_same_bits(one, many, file)
        case = RUNS[file][0]
        if CASES[case]["dtype"] == "float32":  # no sum depends on a mask: all are dense
            for path in one:
                if path.startswith("sums"):
                    np.testing.assert_allclose(one[path], alone(case)[path], rtol=1e-4)


def gemma_shaped(n_layers):
    """Of random weights; each third layer has no window, and rotary positions of its own."""
    ropes = (LayerKind(5, RopeConfig(1e4)), LayerKind(None, RopeConfig(1e6)))
    config = ModelConfig(
        family="gemma3_text", vocab_size=97, d_model=32, n_layers=n_layers, n_heads=4, n_kv_heads=2,
        head_dim=8, d_ff=64, activation="gelu_pytorch_tanh", norm_eps=1e-5, tied_head=True,
        max_positions=256, qkv_bias=False, out_bias=False, mlp_bias=False, qk_norm=True,
        kinds=ropes, pattern=(0, 0, 1),
    )  # fmt: skip
    return jp.Model(config, Path("nowhere"), InMemory(config, parameters(config)))


def test_kinds_of_layers_compile_no_more_in_deeper_models():
    """Every depth has executables of its own; layers of all kinds are there from the third on."""
    counts = {}
    for depth in (1, 2, 12):  # the first compiles what all share
        with compiling() as counted:
            pruned(gemma_shaped(depth), device_mesh(1))
        counts[depth] = counted.programs
    assert counts[12] == counts[2] > 0


@pytest.fixture(scope="module")
def micro_batches():
    """A model, and its samples ready for the first block: 5 rows in micro-batches of 2, the last one filled up."""
    model = xglm_shaped(1)
    samples = batch("translation", 5, 16, 97, 3)
    return (
        model,
        samples,
        lambda: calibration_states(model, [samples], device_mesh(1), 2, "float32"),
    )


def run(micro_batches, segment):
    model, _, make = micro_batches
    ready = make() if callable(make) else make
    params = jax.tree.map(lambda leaf: leaf[0], model.params["blocks"])
    results = []
    ready.run(
        lambda state, context: run_segment(
            (params, None), state, context, config=model.config, mesh=ready.mesh, segment=segment
        ),
        results.append,
    )
    return ready, results


def test_a_block_in_steps_is_the_block_in_one(micro_batches):
    model, _, make = micro_batches
    whole, sums = run(micro_batches, Segment(start=INPUT, stop=OUTPUT, measures=SITES))
    ready, by_site = make(), {}
    for position in range(INPUT, OUTPUT):
        segment = Segment(
            start=position, stop=position + 1, measures=SITES[position : position + 1]
        )
        _, results = run((model, None, ready), segment)
        for number, (values, _) in enumerate(results):
            by_site.setdefault(number, {}).update(values)
    assert list(by_site[0]) == list(SITES)
    for number, state in enumerate(ready.states):
        np.testing.assert_allclose(state, whole.states[number], rtol=1e-5, atol=1e-5)
        for site in SITES:
            one, two = by_site[number][site]["squares"], sums[number][0][site]["squares"]
            np.testing.assert_allclose(one, two, rtol=1e-4)


def test_what_is_not_wanted_is_not_returned(micro_batches):
    before = micro_batches[2]().states
    ready, sums = run(
        micro_batches, Segment(start=INPUT, stop=len(SITES), measures=SITES, advance=False)
    )
    assert all(set(values) == set(SITES) for values, _ in sums)
    for state, old in zip(ready.states, before, strict=True):  # still the block's input
        np.testing.assert_array_equal(state, old)
    advanced, none = run(micro_batches, Segment(start=INPUT, stop=OUTPUT))
    assert none == [({}, {})] * 3
    assert not np.allclose(advanced.states[0], before[0])


def test_micro_batches_cover_every_sample_once_and_fill_up_with_pads():
    sets = [batch("translation", 5, 8, 97, 0), batch("code", 2, 16, 97, 1)]
    micro_batches = CalibrationStates(sets, device_mesh(1), 2)
    assert [tuple(s.shape) for s in micro_batches.states] == [(2, 8), (2, 8), (2, 8), (2, 16)]
    assert [key.kind for key in micro_batches.keys] == ["translation"] * 5 + ["code"] * 2
    assert micro_batches.samples.tolist() == [*sets[0].samples, *sets[1].samples]
    rows = micro_batches.gather([np.asarray(s)[:, 0] for s in micro_batches.states])
    assert rows.tolist() == [*sets[0].tokens[:, 0], *sets[1].tokens[:, 0]]
    assert not np.asarray(micro_batches.contexts[2].valid)[1].any()
    rows = np.concatenate([np.asarray(s) for s in micro_batches.states[:3]])
    np.testing.assert_array_equal(rows[:5], sets[0].tokens)


@pytest.mark.parametrize("devices", [0, -2, 2, 1000])
def test_a_mesh_of_devices_that_are_not_there(devices):
    assert jax.device_count() == 1  # what the tests of this project run on
    with pytest.raises(
        jp.InputError, match=f"mesh.data={devices}, mesh.model=1: expected .* 1 to 1"
    ):
        device_mesh(devices)
    with pytest.raises(jp.InputError, match=f"mesh.data=-1, mesh.model={devices}: expected"):
        device_mesh(-1, devices)


@pytest.mark.parametrize(
    ("rows", "length", "some"),
    [
        (2, 512, 2),
        (8, 512, 8),
        (16, 512, 8),
        (12, 512, 6),
        (4, 4096, 1),
        (1, 9000, 1),
        (7, 1024, 1),
    ],
)
def test_rows_that_an_accelerator_takes_at_once(rows, length, some):
    assert rows_at_once(rows, length) == some
    assert rows % some == 0


def test_rows_one_after_another_give_what_all_give_at_once(monkeypatch):
    model = xglm_shaped(1)
    block = jax.tree.map(lambda x: jnp.asarray(x[0]), parameters(model.config)["blocks"])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 16, 32)).astype(np.float32)
    valid = np.arange(16) < rng.integers(1, 17, 6)[:, None]
    segment = Segment(start=INPUT, stop=OUTPUT, measures=SITES)

    def run(layer, state, context, running):
        assert len(state) == len(context.valid)
        sizes.append(len(state))
        specs = jax.tree.map(lambda _: walk.WHOLE, layer[0])
        return walk._segment(
            model.config, segment, (SQUARES,), specs, layer, state, context, running
        )

    results = []
    for tokens in (1000, 40):
        monkeypatch.setattr(walk, "TOKENS_AT_ONCE", tokens)
        sizes = []
        results.append(
            walk._in_turn(run, (block, None), jnp.asarray(x), Context(jnp.asarray(valid)), {})
        )
        assert sizes == [6 if tokens == 1000 else 2]
    for one, other in zip(*map(jax.tree.leaves, results), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
