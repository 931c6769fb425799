"""How far masks that bfloat16 leads to agree with those of float32.

    python benchmarks/precision.py --model FOLDER --data FOLDER_OF_LANGUAGE_TXT

Prunes the model to half in both, and prints the share of weights on which the masks agree and the IoU of
the kept ones, overall and in the layer where they agree least.
"""

import argparse

import jax

import jaxprune as jp
from jaxprune.devices.sharding import one_cpu_device_per_core
from jaxprune.pruning.propagation import PROPAGATIONS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--data", required=True, help="folder of <language>.txt, for the samples")
    parser.add_argument("--samples", type=int, default=32)
    arguments = parser.parse_args()
    one_cpu_device_per_core()
    model = jp.load(arguments.model)
    batches = jp.demonstrations(
        model.tokenizer, arguments.data, source="fr", target="en", samples=arguments.samples
    )
    for propagate in PROPAGATIONS:
        masks = [
            jp.prune(
                model, batches, sparsity=0.5, propagate=propagate, dtype=dtype, progress=False
            ).masks
            for dtype in ("float32", "bfloat16")
        ]
        equal = jax.tree.map(lambda a, b: (a == b).mean(), *masks)
        sizes = jax.tree.map(lambda mask: mask.size, masks[0])
        weighed = jax.tree.leaves(jax.tree.map(lambda share, size: share * size, equal, sizes))
        overlap = jp.masks.overlap(*masks)
        print(
            f"{propagate}: agree on {sum(weighed) / sum(jax.tree.leaves(sizes)):.2%} of the weights; "
            f"IoU {overlap.overall:.4f}, lowest layer {min(overlap.layers):.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
