"""Makes a model small and fast for some languages, and writes model.gguf; see docs/guide/pack.md.

python scripts/pack.py --model nano/bloom --languages fr,sw --text TEXTS --workdir runs/packed

The same as `jaxprune pack`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("pack", "python scripts/pack.py")
