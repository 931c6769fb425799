"""SparseGPT here against the plain torch loop, alternately in one run, on the same weights and tokens.

    python benchmarks/sparsegpt.py --model FOLDER --text FILE --held FILE

Prints seconds, the ratio (torch's seconds over ours), how far masks and weights agree, and the perplexity of both on
the held text. Blocks are compared on equal inputs, those after our pruned blocks, also with the loop in float64, which
shows the rounding errors of both; and each after its own blocks, where these errors grow from block to block. How far
is shown by a torch loop over two samples at a time, which only rounds in another way. Needs torch.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import timing
import torch
import torch_loop
import torch_ways

from jaxprune.data.ready_tokens import samples_of
from jaxprune.devices.sharding import one_cpu_device_per_core
from jaxprune.hf.model import load
from jaxprune.hf.weights import stored_name
from jaxprune.pruning.loop import prune_blocks
from jaxprune.pruning.settings import Settings
from jaxprune.stats.grouping import grouped

SPARSITY = 0.5


def ours(model, tokens):
    """(seconds, finished layers)."""
    batches = grouped([samples_of(tokens, np.ones(tokens.shape, bool))])
    settings = Settings(criterion="sparsegpt", sparsity=SPARSITY)
    start = time.perf_counter()
    blocks = [block.finished for block in prune_blocks(model, batches, settings, progress=False)]
    return time.perf_counter() - start, blocks


def theirs(
    folder,
    tokens,
    attention,
    batch=1,
    method=torch_loop.SparseGPT,
    pruned=lambda network, layer: None,
):
    """(seconds, model); calls `pruned` after each layer, before its outputs are computed."""
    network = torch_ways.load(folder, attention=attention)
    layers, ids = torch_loop.layers_of(network), torch.from_numpy(tokens).long()
    start = time.perf_counter()
    torch_loop.prune(
        network, layers, ids, SPARSITY, batch, method,
        pruned=lambda layer: pruned(network, layer),
    )  # fmt: skip
    return time.perf_counter() - start, network


def linears(network, config, block, layer):
    """Path → torch's weight [out, in] of each pruned kernel of a layer."""
    weights = network.state_dict()
    prefix = next(iter(weights)).partition("embed_tokens")[0]  # of a model with or without a head
    return {
        path: weights[prefix + stored_name(config, f"blocks/{path}", layer)] for path in block.keep
    }


def weights_of(block):
    """The same of a layer of ours."""
    return {p: torch.from_numpy(w.astype(np.float32).T) for p, w in block.changed.items()}


def on_our_inputs(folder, tokens, attention, config, blocks, method):
    """(model with our weights, for each layer path → weight as the loop prunes it after our pruned blocks)."""
    found = []

    def follow(network, layer):
        weights = linears(network, config, blocks[layer], layer)
        found.append({path: weight.clone() for path, weight in weights.items()})
        for path, weight in weights_of(blocks[layer]).items():
            weights[path].copy_(weight)

    _, network = theirs(folder, tokens, attention, method=method, pruned=follow)
    return network, found


def compared(mine, others):
    """Decisions, equal ones, and of the weights that both keep the squared difference and the squares.

    The last two twice: of all outputs, and of those all of whose decisions are equal.
    """
    sums = np.zeros(6)
    for path, one in mine.items():
        other = others[path]
        equal, both = (one != 0) == (other != 0), (one != 0) & (other != 0)
        sums[:2] += one.numel(), equal.sum()
        for place, chosen in ((2, both), (4, both & equal.all(dim=1, keepdim=True))):
            difference = (one - other)[chosen].double().square().sum()
            sums[place : place + 2] += difference, other[chosen].double().square().sum()
    return sums


def shown(sums):
    decisions, equal, *squares = sums
    every, chosen = np.sqrt(squares[::2]) / np.sqrt(squares[1::2])
    return f"decisions {equal / decisions:.3%}, weights {every:.1e}, of outputs with equal decisions {chosen:.1e}"


@torch.no_grad()
def perplexity(network, tokens):
    """Of rows of tokens [N, T], each on its own."""
    rows = torch.from_numpy(tokens).long()
    return float(
        torch.stack([network(row[None], labels=row[None]).loss for row in rows]).mean().exp()
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--text", required=True, help="a file of sentences")
    parser.add_argument("--held", required=True, help="a file of other sentences")
    parser.add_argument("--samples", type=int, default=16, help="of 512 tokens each")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    one_cpu_device_per_core()
    folder = Path(arguments.model)
    model = load(folder)

    def rows_of(file, count):
        ids = model.tokenizer(Path(file).read_text(encoding="utf-8")).input_ids[: 512 * count]
        return np.array(ids, np.int32).reshape(-1, 512)

    tokens, held = rows_of(arguments.text, arguments.samples), rows_of(arguments.held, 4)
    attention = torch_ways.attentions(folder)[0]
    print(f"first run, with compilation: {ours(model, tokens)[0]:.1f} s", flush=True)
    seconds = []
    for _ in range(arguments.repeats):
        (mine, blocks), (other, network) = ours(model, tokens), theirs(folder, tokens, attention)
        seconds.append((mine, other))
        print(f"ours {mine:.1f} s, torch {other:.1f} s", flush=True)
    mine, other = np.min(seconds, axis=0)
    print(
        f"best of {arguments.repeats}: torch / ours {other / mine:.2f}; matmul {timing.matmul_rate() / 1e9:.0f} GFLOP/s"
    )
    config, loops = model.config, (torch_loop.SparseGPT, torch_loop.ExactSparseGPT)
    (same, single), (_, exact) = (
        on_our_inputs(folder, tokens, attention, config, blocks, loop) for loop in loops
    )
    our = [weights_of(block) for block in blocks]
    for names, *sides in (
        ("ours, torch", our, single),
        ("ours, torch in float64", our, exact),
        ("torch, torch in float64", single, exact),
    ):
        found = [compared(*pair) for pair in zip(*sides, strict=True)]
        lowest = min(equal / decisions for decisions, equal, *_ in found)
        print(f"equal inputs, {names}: {shown(sum(found))}; lowest layer {lowest:.3%}", flush=True)
    _, again = theirs(folder, tokens, attention, batch=2)
    for name, one in (("ours", same), ("torch, two samples at a time", again)):
        of_layers = (
            [linears(found, config, block, layer) for found in (one, network)]
            for layer, block in enumerate(blocks)
        )
        found = sum(compared(*pair) for pair in of_layers)
        print(
            f"{name}, after its own blocks: {shown(found)}; perplexity {perplexity(one, held):.3f}"
        )
    print(f"torch: perplexity {perplexity(network, held):.3f}")


if __name__ == "__main__":
    main()
