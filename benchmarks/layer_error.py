"""How far the outputs of pruned linear layers are from those of the dense model, on the same inputs.

    python benchmarks/layer_error.py MODEL TEXT RUN RUN ...

The inputs X are those of the dense model on 100 samples of five languages. A kernel W that became Ŵ has the relative
error ‖X(W − Ŵ)‖² / ‖XW‖². Prints by run the mean over all kernels, and by kernel the mean over layers.
"""

import argparse
from pathlib import Path

import numpy as np
from flax.traverse_util import flatten_dict

import jaxprune as jp

LANGUAGES = "en,fr,ru,zh,sw"


def relative_errors(dense, pruned, gram):
    """The relative error of a kernel, [L, in, out], by layer."""

    def energy(weights):
        return np.einsum("lio,lio->l", weights, np.matmul(gram, weights))

    return energy(dense - pruned) / energy(dense)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("runs", nargs="+", type=Path)
    arguments = parser.parse_args()
    model = jp.load(arguments.model)
    batches = jp.demonstrations(
        model.tokenizer, arguments.text, source=LANGUAGES, kind="monolingual", samples=100,
        lines="0-599",
    )  # fmt: skip
    stats = jp.probe(model, batches, statistics=["gram"])
    grams = {
        site: sum(sums[site]["gram"] for sums in stats.sums.values())
        for site in {site for _, site in stats.sites}
    }
    dense = flatten_dict(model.params["blocks"], sep="/")
    for run in arguments.runs:
        pruned = flatten_dict(jp.load(run / "hf").params["blocks"], sep="/")
        errors = {
            kernel: relative_errors(
                *(np.float32(tree[kernel]) for tree in (dense, pruned)), grams[site]
            )
            for kernel, site in stats.sites
        }
        by_kernel = ", ".join(f"{kernel} {error.mean():.4f}" for kernel, error in errors.items())
        print(f"{run.name}: {np.mean([*errors.values()]):.4f}; {by_kernel}")


if __name__ == "__main__":
    main()
