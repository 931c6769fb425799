"""Products with pruned weights in torch on a CPU: dense matrices with zeros in them against compressed sparse rows.

    python benchmarks/sparse_products.py --model runs/gemma/hf --dense FOLDER

Multiplies states with the MLP kernels of a block in the middle: those of the dense model, those of the pruned one as
they are, and those as sparse matrices, alternately in one thread. Prints the least time of each and its ratio to the
dense model's, and how many bytes the sparse matrices take. Needs torch and transformers.
"""

import argparse
import time
from pathlib import Path

import torch
import transformers


def mlp_kernels(folder):
    """Of the block in the middle, [out, in]."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    middle = f".{model.config.num_hidden_layers // 2}."
    return [
        module.weight.data
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and middle in name and "mlp" in name
    ]


def size(matrix):
    parts = matrix.values(), matrix.col_indices(), matrix.crow_indices()
    return sum(part.numel() * part.element_size() for part in parts)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--dense", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dense, pruned = mlp_kernels(arguments.dense), mlp_kernels(arguments.model)
    sparse = [kernel.to_sparse_csr() for kernel in pruned]
    share = sum(map(size, sparse)) / sum(kernel.nbytes for kernel in pruned)
    print(f"torch {torch.__version__}; sparse matrices take {share:.2f} of the bytes of dense ones")
    for rows in (1, 256):
        states = [torch.randn(kernel.shape[1], rows) for kernel in dense]
        ways = {"dense model": dense, "pruned": pruned, "pruned, sparse matrices": sparse}
        least = dict.fromkeys(ways, float("inf"))
        for _ in range(arguments.runs):
            for name, kernels in ways.items():
                start = time.perf_counter()
                for kernel, state in zip(kernels, states, strict=True):
                    kernel @ state
                least[name] = min(least[name], time.perf_counter() - start)
        for name, seconds in least.items():
            ratio = seconds / least["dense model"]
            print(
                f"  {rows} tokens, {name}: {seconds * 1e3:.2f} ms, {ratio:.2f} of the dense model's"
            )


if __name__ == "__main__":
    main()
