"""Writes llama.cpp's importance matrix of the languages of a finished run.

python scripts/imatrix.py runs/nano

The same as `jaxprune imatrix`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("imatrix", "python scripts/imatrix.py")
