"""Makes a model smaller for some languages; writes a workdir with the smaller model.

python scripts/shrink.py --config configs/base.py:google/gemma-3-270m --config.shrink.vocabulary=texts --workdir=small

The same as `jaxprune shrink`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("shrink", "python scripts/shrink.py")
