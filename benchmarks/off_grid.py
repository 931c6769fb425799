"""Moves the weights of a model off the grid of a quantized source file; the function of the model stays the same.

python benchmarks/off_grid.py FOLDER OUT

A model that was dequantized from a file of four to eight bits has weights on a few levels, which a second quantization
may hit by accident. Each block is scaled exactly, by random factors between e^-0.35 and e^0.35: the gains of norms and
the rows of the kernels that read them, the neurons of the MLP, and the dimensions of values. For Llama, Qwen2, Mistral
and Gemma 3. Prints the largest difference of logits on the tokens 0 to 255, over their standard deviation.
"""

import argparse

import jax
import numpy as np

import jaxprune as jp
from jaxprune.hf.export import export_hf
from jaxprune.hf.model import Model

REACH = 0.35


def moved(model: Model) -> Model:
    """The model with scaled weights, in float32."""
    config, rng = model.config, np.random.default_rng(7)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32).copy(), model.params)
    blocks = params["blocks"]
    attention, mlp, layers = blocks["attention"], blocks["mlp"], config.n_layers
    offset = float(config.family.startswith("gemma"))  # of the gains of norms

    def factors(*shape: int) -> np.ndarray:
        return np.exp(rng.uniform(-REACH, REACH, (layers, *shape))).astype(np.float32)

    readers = {
        "attention_norm": [attention[name] for name in ("query", "key", "value")],
        "mlp_norm": [mlp[name] for name in ("gate", "up")],
    }
    for name, kernels in readers.items():
        scale = factors(config.d_model)
        gain = blocks[name]["scale"]
        gain[...] = (gain + offset) * scale - offset
        for kernel in kernels:
            kernel["kernel"] /= scale[:, :, None]
    neurons = factors(config.d_ff)
    mlp["up"]["kernel"] *= neurons[:, None, :]
    mlp["out"]["kernel"] /= neurons[:, :, None]
    values = factors(config.n_kv_heads, config.head_dim)
    attention["value"]["kernel"] *= values.reshape(layers, 1, -1)
    if "bias" in attention["value"]:
        attention["value"]["bias"] *= values.reshape(layers, -1)
    by_head = np.repeat(values, config.n_heads // config.n_kv_heads, axis=1)
    attention["out"]["kernel"] /= by_head.reshape(layers, -1, 1)
    return model.replace(params)


def main() -> None:
    """Writes the moved model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="FOLDER")
    parser.add_argument("out", metavar="OUT")
    arguments = parser.parse_args()
    model = jp.load(arguments.model)
    other = moved(model)
    tokens = np.arange(256)[None]
    logits = [np.asarray(jp.forward(m.config, m.params, tokens)) for m in (model, other)]
    difference = np.abs(logits[1] - logits[0]).max() / logits[0].std()
    print(f"largest difference of logits: {difference:.1e} of their standard deviation")
    export_hf(other, other.params, arguments.out)


if __name__ == "__main__":
    main()
