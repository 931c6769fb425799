"""Fits the kept weights, norms and biases of a pruned model to the dense model.

python scripts/recover.py --config configs/nano.py --config.recovery.run=runs/nano --workdir runs/nano_recovered

The same as `jaxprune recover`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("recover", "python scripts/recover.py")
