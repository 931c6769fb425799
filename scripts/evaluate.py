"""Evaluates a model on tasks in every language, its perplexity and its translations; see docs/evaluation.md.

python scripts/evaluate.py --config configs/nano.py --workdir runs/nano --config.model=runs/nano/hf

The same as `jaxprune evaluate`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("evaluate", "python scripts/evaluate.py")
