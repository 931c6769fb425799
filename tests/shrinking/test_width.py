"""Fewer neurons against torch: the written model is the torch model with its last kernels refitted by a numpy loop."""

import re

import jax
import numpy as np
import pytest
import torch
import transformers
from conftest import tiny_torch
from small_samples import TOKENS, samples
from torch_loop import blocks_of

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.shrinking.width import most_important

FAMILIES = [
    "xglm", "gpt2", "gpt2-unscaled-inner", "llama", "llama3-tied-biases", "gemma3", "cohere2", "apertus",
]  # fmt: skip
LAST = re.compile(r"(fc2|mlp\.c_proj|mlp\.down_proj)")


def refit_by_loop(model, batch, kept_number):
    """Sets the rows of dropped neurons to 0 and refits the others, layer by layer, in float64."""
    shares = []
    for block in blocks_of(model):
        seen: dict[str, list[torch.Tensor]] = {"fr": [], "sw": []}
        last = next(part for name, part in block.named_modules() if LAST.fullmatch(name))
        for row, code in enumerate(batch.languages):
            handle = last.register_forward_pre_hook(
                lambda _, given, found=seen[code]: found.append(given[0].flatten(0, -2))
            )
            with torch.no_grad():
                length = batch.valid[row].sum()
                model(
                    torch.from_numpy(batch.tokens[row : row + 1, :length]).long(), use_cache=False
                )
            handle.remove()
        inputs = {code: torch.cat(parts).double().numpy() for code, parts in seen.items()}
        is_conv = isinstance(last, transformers.pytorch_utils.Conv1D)
        weight = last.weight.detach().double().numpy()
        weight = weight if is_conv else weight.T
        influence = {}
        for code, h in inputs.items():
            scores = np.linalg.norm(h, axis=0) * np.abs(weight).sum(axis=1)
            influence[code] = scores / scores.sum()
        order = np.argsort(-np.maximum(*influence.values()))
        kept, rest = np.sort(order[:kept_number]), order[kept_number:]
        h = np.concatenate([*inputs.values()])
        gram = 2 / len(h) * h.T @ h
        inner = gram[np.ix_(kept, kept)]
        inner += 0.01 * np.mean(np.diag(inner)) * np.eye(kept_number)
        new = np.zeros_like(weight)
        missing = gram[np.ix_(kept, rest)] @ weight[rest]
        new[kept] = weight[kept] + np.linalg.solve(inner, missing)
        with torch.no_grad():
            last.weight.copy_(torch.from_numpy(new if is_conv else new.T))
        shares.append({code: float(of_code[kept].sum()) for code, of_code in influence.items()})
    return shares


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_those_of_torch_refitted_by_a_loop(name, tiny_folder, tmp_path):
    [batch] = samples()
    small, report = jp.shrink(
        jp.load(tiny_folder(name)), tmp_path / "small",
        batches=[batch], mlp=0.7, multiple=8, progress=False,
    )  # fmt: skip
    whole = tiny_torch(name)
    sizes = report["neurons"]
    shares = refit_by_loop(whole, batch, sizes["after"])
    assert sizes["after"] == small.config.d_ff == -(-int(0.7 * sizes["before"]) // 8) * 8
    written = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "small").eval()
    tokens = torch.from_numpy(TOKENS)
    with torch.no_grad():
        want, got = (one(tokens, use_cache=False).logits.numpy() for one in (whole, written))
    np.testing.assert_allclose(got, want, atol=2e-4)
    own = jax.jit(jp.forward, static_argnums=0)(small.config, small.params, TOKENS)
    np.testing.assert_allclose(own, want, atol=2e-4)
    for code in ("fr", "sw"):
        found = report["width"]["shares"][code]
        np.testing.assert_allclose(found, [one[code] for one in shares], atol=1e-5)


def test_a_neuron_of_one_language_is_kept():
    influence = np.array([[0.1, 0.4, 0.3, 0.2], [0.5, 0.1, 0.2, 0.2]])
    np.testing.assert_array_equal(most_important(influence, 2), [0, 1])


def test_width_and_depth_together(tiny_folder, tmp_path):
    model = jp.load(tiny_folder("gemma3"))
    small, report = jp.shrink(
        model, tmp_path / "both", batches=samples(), layers=2, mlp=0.5, multiple=8, progress=False
    )
    dropped = tuple(report["depth"]["dropped"])
    alone, _ = jp.shrink(model, tmp_path / "depth", drop_layers=dropped, progress=False)
    after, _ = jp.shrink(
        alone, tmp_path / "width", batches=samples(), mlp=0.5, multiple=8, progress=False
    )
    assert small.config == after.config
    jax.tree.map(np.testing.assert_array_equal, small.params, after.params)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("llama", {"mlp": 0.99, "multiple": 64}, "shrink.mlp: got 0.99, which keeps all 80 neurons"),
        ("llama", {"mlp": 1.0}, "mlp: got 1.0; expected a number c with 0 < c < 1"),
        ("llama", {"mlp": 0.5, "multiple": 8, "batches": []}, "shrink: no samples"),
        ("bloom", {"mlp": 0.5}, "config.json of bloom cannot express the smaller model .d_ff"),
    ],
)  # fmt: skip
def test_a_width_that_cannot_be_is_refused(name, fields, message, tiny_folder, tmp_path):
    given = {"batches": samples(), **fields}
    with pytest.raises(InputError, match=message):
        jp.shrink(jp.load(tiny_folder(name)), tmp_path / "small", **given, progress=False)
    assert not (tmp_path / "small").exists()
