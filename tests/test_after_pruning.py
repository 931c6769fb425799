"""The programs of docs/after_pruning.md, one after the other: models learn, and zeros stay where the page says so."""

from pathlib import Path

import jax
import numpy as np
import pytest
from ci_packages import needs
from flax.traverse_util import flatten_dict
from page_programs import programs, run

import jaxprune as jp

needs("accelerate", "peft")  # of the page's program with adapters

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "after_pruning.md").read_text(encoding="utf-8")
PROGRAMS = programs(PAGE)


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What all programs leave behind, and after which of them what was zero in a kernel of the blocks."""
    with pytest.MonkeyPatch.context() as patch:
        names = run("after_pruning.md", PROGRAMS, tmp_path_factory.mktemp("page"), patch)
        names["exported"] = {
            name: jp.load(f"runs/{name}/hf").params for name in ("tuned", "tuned_torch")
        }
    return names


def kernels(params, masks):
    flat = flatten_dict(params, sep="/")
    return {
        path: (np.asarray(flat[path]), mask) for path, mask in flatten_dict(masks, sep="/").items()
    }


def test_every_program_is_run(names):
    assert len(PROGRAMS) == 4
    assert PAGE.count("```python") == 4


@pytest.mark.parametrize("losses", ["losses", "torch_losses"])
def test_what_is_trained_learns(losses, names):
    assert len(names[losses]) >= 10
    assert names[losses][-1] < 0.8 * names[losses][0]


def test_what_is_recovered_comes_nearer_and_keeps_its_zeros(names):
    result = names["recovered"]
    assert all(after < before for before, after in result.report["losses"])
    for kernel, mask in kernels(result.params, names["pruned"].masks).values():
        assert (kernel[~mask].view(np.uint32) == 0).all()


@pytest.mark.parametrize("name", ["tuned", "tuned_torch"])
def test_zeros_stay_to_the_bit_and_the_rest_moves(name, names):
    before = kernels(names["result"].params, names["result"].masks)
    for path, (kernel, mask) in kernels(names["exported"][name], names["result"].masks).items():
        assert (kernel[~mask].view(np.uint32) == 0).all()
        assert (kernel[mask] != 0).mean() > 0.999
        assert (kernel[mask] != before[path][0][mask]).mean() > 0.9


def test_without_the_masks_zeros_would_go(names):
    """Else the tests above would show nothing."""
    batch = names["batches"][0]
    gradients = jax.grad(names["loss"])(names["params"], batch.tokens, batch.valid)
    for gradient, mask in kernels(gradients, names["result"].masks).values():
        assert (gradient[~mask] != 0).mean() > 0.9


def test_a_merged_adapter_fills_the_zeros_until_they_are_put_back(names):
    dropped = names["dropped"]
    total = sum(int(where.sum()) for where in dropped.values())
    masks = names["result"].masks
    assert total == sum(int((~mask).sum()) for _, mask in kernels(names["params"], masks).values())
    assert names["filled"] > 0.99 * total
    after = {
        name: module.weight for name, module in names["merged"].named_modules() if name in dropped
    }
    for name, where in dropped.items():
        assert (after[name][where] == 0).all()
        assert (after[name][~where] != 0).float().mean() > 0.999
