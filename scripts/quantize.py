"""Rounds a model to a grid of llama.cpp, calibrated on languages; see docs/guide/quantize.md.

python scripts/quantize.py --config configs/nano.py --workdir runs/nano_quantized

The same as `jaxprune quantize`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("quantize", "python scripts/quantize.py")
