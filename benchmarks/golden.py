"""Digests of the masks and weights that pruning makes of small models, to be compared before and after a change.

python benchmarks/golden.py > before.txt; git checkout CHANGE; python benchmarks/golden.py | diff before.txt -

The three bundled models and a random one of each family (torch makes it), under every criterion, pattern, end that is
dropped, propagation, dtype and compat. Calls nothing but what the package exports, so that it runs on other versions.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
import transformers
from flax.traverse_util import flatten_dict

import jaxprune as jp

BUNDLED = ("xglm", "bloom", "gpt2")
NANO = Path(jp.__file__).parent / "nano" / "checkpoints"
_GROUPED = {
    "vocab_size": 131, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 80,
}  # fmt: skip
TINY = {
    "xglm": transformers.XGLMConfig(
        vocab_size=131, d_model=48, num_layers=2, attention_heads=4, ffn_dim=80
    ),
    "bloom": transformers.BloomConfig(vocab_size=131, hidden_size=48, n_layer=2, n_head=6),
    "gpt2": transformers.GPT2Config(vocab_size=131, n_embd=48, n_layer=2, n_head=3, n_positions=64),
    "llama": transformers.LlamaConfig(**_GROUPED),
    "qwen2": transformers.Qwen2Config(**_GROUPED),
    "qwen3": transformers.Qwen3Config(**_GROUPED, head_dim=20),
}
SELECTIONS = (
    {"sparsity": 0.3}, {"sparsity": 0.5, "drop": "highest"}, {"pattern": "2:4"}, {"pattern": "4:8"},
    {"sparsity": 0.4, "threshold": "variant"},
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models", nargs="*", help="such as nano/bloom and tiny/qwen3; default: all"
    )
    wanted = parser.parse_args().models
    if (
        not wanted
    ):  # each setting is a program of its own, and XLA has room for so many in a process
        for name in [*(f"nano/{name}" for name in BUNDLED), *(f"tiny/{name}" for name in TINY)]:
            subprocess.run([sys.executable, __file__, "--models", name], check=True)
        return
    with tempfile.TemporaryDirectory() as scratch:
        for name, model, compats in models(Path(scratch), wanted):
            for criterion in ("wanda", "refined", "magnitude", "random"):
                cases = list(settings(criterion, name))
                found = [digests(model, compats, criterion, case) for case in cases]
                joined = hashlib.sha256("".join(found).encode()).hexdigest()
                print(
                    f"{name:<12} {criterion:<10} {len(cases):>3} settings  {joined[:16]}",
                    flush=True,
                )


def models(scratch: Path, wanted: list[str]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """(name, model, compat → calibration batches) of each model."""
    for name in BUNDLED:
        if f"nano/{name}" in wanted:
            model = jp.load(NANO / name)
            yield (
                f"nano/{name}",
                model,
                {c: nano_batches(model, c) for c in ("corrected", "official")},
            )
    for name, config in TINY.items():
        if f"tiny/{name}" in wanted:
            torch.manual_seed(0)
            made = transformers.AutoModelForCausalLM.from_config(config)
            made.save_pretrained(scratch / name)
            ids = np.random.default_rng(0).integers(0, 131, (14, 24))
            np.savez(scratch / "ids.npz", input_ids=ids[:9], code_ids=ids[9:, :17])
            batches = jp.token_batches(scratch / "ids.npz")
            yield (
                f"tiny/{name}",
                jp.load(scratch / name),
                dict.fromkeys(("corrected", "official"), batches),
            )


def nano_batches(model: Any, compat: str) -> list[Any]:
    """Translations, and shorter ones of another language in the role of code."""
    some = {"samples": 6, "max_length": 96, "compat": compat}
    code = jp.demonstrations(model.tokenizer, "nano", source="sw", shots=2, seed=1, **some)
    roles = [jp.Batch(b.tokens, b.valid, "code", b.samples) for b in code]
    return [*jp.demonstrations(model.tokenizer, "nano", source="fr", **some), *roles]


def settings(criterion: str, name: str) -> Iterator[dict[str, Any]]:
    """Every combination that changes what a criterion does."""
    measured = criterion in ("wanda", "refined")
    propagations = ("block", "dense", "site") if measured else ("block",)
    # of ready tokens `compat` changes the refined norm alone
    both = criterion == "refined" or (criterion == "wanda" and name.startswith("nano/"))
    compats = ("corrected", "official") if both else ("corrected",)
    seeds = (0, 1) if criterion == "random" else (0,)
    axes = (SELECTIONS, propagations, ("float32", "bfloat16"), compats, seeds)
    for selection, propagate, dtype, compat, seed in itertools.product(*axes):
        yield {**selection, "propagate": propagate, "dtype": dtype, "compat": compat, "seed": seed}


def digests(model: Any, compats: dict[str, Any], criterion: str, case: dict[str, Any]) -> str:
    """SHA-256 of the masks and all parameters that one setting gives."""
    batches = compats[case["compat"]]
    if criterion == "wanda":
        batches = [batch for batch in batches if batch.role != "code"]
    if criterion in ("magnitude", "random"):
        batches = []
    result = jp.prune(model, batches, criterion=criterion, progress=False, **case)
    sha = hashlib.sha256()
    for tree in (result.masks, result.params):
        for path, leaf in sorted(flatten_dict(jax.device_get(tree), sep="/").items()):
            sha.update(f"{path} {leaf.dtype} {leaf.shape}".encode())
            sha.update(np.ascontiguousarray(leaf).view(np.uint8).data)
    return sha.hexdigest()


if __name__ == "__main__":
    main()
