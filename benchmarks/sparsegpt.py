"""SparseGPT here against the plain torch loop, alternately in one run, on the same weights and tokens.

    python benchmarks/sparsegpt.py --model FOLDER --text FILE

Prints seconds, the ratio (torch's seconds over ours), and how far masks and weights agree. Needs torch.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import timing
import torch
import torch_loop
import torch_ways

from jaxprune.calibration import from_arrays
from jaxprune.devices import one_cpu_device_per_core
from jaxprune.hf import load
from jaxprune.hf.weights import stored_name
from jaxprune.pruning import Settings, prune_blocks

SPARSITY = 0.5


def ours(model, tokens):
    """(seconds, finished layers)."""
    batches = from_arrays(tokens, np.ones(tokens.shape, bool))
    settings = Settings(criterion="sparsegpt", sparsity=SPARSITY)
    start = time.perf_counter()
    blocks = [block.finished for block in prune_blocks(model, batches, settings, progress=False)]
    return time.perf_counter() - start, blocks


def theirs(folder, tokens, attention):
    """(seconds, weights by name)."""
    model = torch_ways.load(folder, attention=attention)
    layers, ids = torch_loop.layers_of(model), torch.from_numpy(tokens).long()
    start = time.perf_counter()
    torch_loop.prune(model, layers, ids, SPARSITY, method=torch_loop.SparseGPT)
    return time.perf_counter() - start, model.state_dict()


def agreement(config, blocks, weights):
    """(share of equal decisions, relative difference of the weights that both keep)."""
    same = count = 0
    prefix = next(iter(weights)).partition("embed_tokens")[0]  # of a model with or without a head
    square = difference = 0.0
    for layer, block in enumerate(blocks):
        for path, keep in block.keep.items():
            other = weights[prefix + stored_name(config, f"blocks/{path}", layer)].float().numpy().T
            kept = other != 0
            same, count = same + (keep == kept).sum(), count + keep.size
            both, kernel = keep & kept, block.changed[path].astype(np.float32)
            square += np.square(other[both], dtype=np.float64).sum()
            difference += np.square(kernel[both] - other[both], dtype=np.float64).sum()
    return same / count, np.sqrt(difference / square)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--text", required=True, help="a file of sentences")
    parser.add_argument("--samples", type=int, default=16, help="of 512 tokens each")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    one_cpu_device_per_core()
    folder = Path(arguments.model)
    model = load(folder)
    text = Path(arguments.text).read_text(encoding="utf-8")
    ids = model.tokenizer(text).input_ids[: 512 * arguments.samples]
    tokens = np.array(ids, np.int32).reshape(-1, 512)
    attention = torch_ways.attentions(folder)[0]
    print(f"first run, with compilation: {ours(model, tokens)[0]:.1f} s", flush=True)
    seconds = []
    for _ in range(arguments.repeats):
        (mine, blocks), (other, weights) = ours(model, tokens), theirs(folder, tokens, attention)
        seconds.append((mine, other))
        print(f"ours {mine:.1f} s, torch {other:.1f} s", flush=True)
    mine, other = np.min(seconds, axis=0)
    print(
        f"best of {arguments.repeats}: torch / ours {other / mine:.2f}; matmul {timing.matmul_rate() / 1e9:.0f} GFLOP/s"
    )
    decisions, weight = agreement(model.config, blocks, weights)
    print(f"equal decisions {decisions:.4%}; weights that both keep differ by {weight:.2e}")


if __name__ == "__main__":
    main()
