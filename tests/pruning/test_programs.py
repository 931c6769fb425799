"""One program prunes blocks whatever the layer, the seed, the sparsity and how it is spread."""

import pytest
from compiling import compiling

import jaxprune as jp
from jaxprune.devices.sharding import device_mesh
from jaxprune.pruning.allocations.allocation import Allocation

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
    with pytest.raises(jp.InputError, match=message) as caught:
        jp.prune(jp.load(NANO), criterion="magnitude", sparsity=0.4, allocation=own, progress=False)
    assert "\n" not in str(caught.value)
