"""How many programs a run compiles: some for each length of samples, whatever the layer, the seed and the sparsity."""

import pytest
from compiling import compiling
from device_jobs import batch, xglm_shaped

import jaxprune as jp
from jaxprune.devices.sharding import device_mesh
from jaxprune.pruning.allocations.allocation import Allocation
from jaxprune.pruning.criterion import key_of_seed

NANO = "jaxprune/nano/checkpoints/bloom"
FALLING = Allocation("falling", "", lambda of: [of.sparsity + d for d in (0.1, 0.05, -0.05, -0.1)])


@pytest.mark.parametrize("threshold", ["row", "variant"])
def test_another_sparsity_seed_or_allocation_compiles_nothing(threshold):
    model, mesh = jp.load(NANO), device_mesh(1)

    def prune(sparsity, seed, allocation="uniform"):
        return jp.prune(
            model, criterion="random", threshold=threshold, sparsity=sparsity, seed=seed,
            allocation=allocation, mesh=mesh, progress=False,
        )  # fmt: skip

    first = prune(0.3, 0)
    with compiling() as counted:
        others = [prune(0.5, 0), prune(0.3, 1), prune(0.0, 2), prune(0.4, 3, FALLING)]
    assert counted.programs == 0
    assert [one.report["sparsity"]["overall"] for one in others] == pytest.approx(
        [0.5, 0.3, 0, 0.4], abs=0.01
    )
    assert first.report["sparsity"]["overall"] == pytest.approx(0.3, abs=0.01)


def test_masks_keep_of_another_sparsity_compiles_nothing():
    scores = jp.scores.magnitude(jp.load(NANO).params)
    jp.masks.keep(scores, sparsity=0.3)
    with compiling() as counted:
        jp.masks.keep(scores, sparsity=0.7)
    assert counted.programs == 0


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        (lambda of: [of.sparsity] * 3, r"allocation own: got \[.*\]; expected 4 shares s with 0 <= s < 1"),
        (lambda of: [*[of.sparsity] * 3, 0.5], "allocation own: drops 0.425 of all weights; expected 0.4"),
    ],
)  # fmt: skip
def test_an_allocation_that_is_none_is_refused(shares, message):
    own = Allocation("own", "", shares)
    with pytest.raises(jp.InputError, match=message):
        jp.prune(jp.load(NANO), criterion="magnitude", sparsity=0.4, allocation=own, progress=False)


# For every length: embedding, check of a block's input, segments of a block. Once: selection, and dropping, for the
# kernels of each step.
PROGRAMS = {
    "block": 2 * (1 + 1 + 2) + 1 + 1,
    "site": 2 * (1 + 1 + 5) + 4 + 4,
    "dense": 2 * (1 + 1 + 1) + 1 + 1,
}


@pytest.mark.parametrize("propagate", PROGRAMS)
def test_a_run_compiles_so_many_programs(propagate):
    key_of_seed(0)  # whose programs all runs of a process share
    # of sizes that no other test has, which would leave programs
    width = 76 + 8 * [*PROGRAMS].index(propagate)
    model = xglm_shaped(3, width, 92)

    def programs(rows):
        batches = [
            batch("translation", rows, length, model.config.vocab_size, length)
            for length in (16, 32)
        ]
        with compiling() as counted:
            jp.prune(model, batches, mesh=device_mesh(1), propagate=propagate, progress=False)
        return counted.programs

    assert programs(5) == PROGRAMS[propagate]
    assert programs(8) == 0
