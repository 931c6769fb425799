"""Products with pruned weights on a CPU: dense matrices with zeros in them against sparse formats.

    python benchmarks/sparse_products.py --model runs/gemma/hf --dense FOLDER [--openvino]

Multiplies states with the MLP kernels of a block in the middle: those of the dense model, those of the pruned one as
they are, and those as sparse matrices, alternately in one thread. Prints the least time of each and its ratio to the
dense model's, and how many bytes the sparse matrices take. With `--openvino` also two of these kernels in int8 in
OpenVINO, with and without its sparse weights decompression. Needs torch and transformers, and openvino and nncf.
"""

import argparse
import functools
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


def products(kernels, states):
    for kernel, state in zip(kernels, states, strict=True):
        kernel @ state


def in_openvino(kernels, rows):
    """Name → function that multiplies with the first and the last kernel, in int8."""
    import nncf
    import openvino

    layers = [
        torch.nn.Linear(*kernel.shape[::-1], bias=False) for kernel in kernels[:: len(kernels) - 1]
    ]
    for layer, kernel in zip(layers, kernels[:: len(kernels) - 1], strict=True):
        layer.weight.data.copy_(kernel)
    states = torch.randn(rows, kernels[0].shape[1])
    plain = openvino.convert_model(torch.nn.Sequential(*layers), example_input=states)
    int8 = nncf.quantize(plain, nncf.Dataset([states.numpy()] * 8))
    core = openvino.Core()
    for name, rate in (("dense", 1.0), ("sparse", 0.3)):
        options = {"CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE": rate, "INFERENCE_NUM_THREADS": 1}
        run = core.compile_model(int8, "CPU", options)
        yield f"OpenVINO int8, {name}", lambda run=run: run(states.numpy())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--dense", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--openvino", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dense, pruned = mlp_kernels(arguments.dense), mlp_kernels(arguments.model)
    sparse = [kernel.to_sparse_csr() for kernel in pruned]
    share = sum(map(size, sparse)) / sum(kernel.nbytes for kernel in pruned)
    print(f"torch {torch.__version__}; sparse matrices take {share:.2f} of the bytes of dense ones")
    for rows in (1, 256):
        states = [torch.randn(kernel.shape[1], rows) for kernel in dense]
        matrices = {"dense model": dense, "pruned": pruned, "pruned, sparse matrices": sparse}
        ways = {name: functools.partial(products, of, states) for name, of in matrices.items()}
        if arguments.openvino:
            ways |= in_openvino(pruned, rows)
        least = dict.fromkeys(ways, float("inf"))
        for _ in range(arguments.runs):
            for name, way in ways.items():
                way()  # the way before left other data in the caches
                start = time.perf_counter()
                way()
                least[name] = min(least[name], time.perf_counter() - start)
        for name, seconds in least.items():
            ratio = seconds / least["dense model"]
            print(
                f"  {rows} tokens, {name}: {seconds * 1e3:.2f} ms, {ratio:.2f} of the dense model's"
            )


if __name__ == "__main__":
    main()
