"""The files from which the models of the studies were read: studies/sources.json, and what pages say of them.

python docs/figures/sources.py NAME=FILE.gguf ...    reads them (pip install gguf)
"""

import re
import sys
from pathlib import Path

import numpy as np
from cells import read, write

FILE = Path(__file__).parents[2] / "studies" / "sources.json"
# A text on a source in a page, after a comment with the name of the model.
TEXT = re.compile(r"(<!--(source|size|bits) ([^>]+)-->).*?(?=<!--/-->)")
BLOCK = 32  # weights that share a scale in the types of these files


def source(file: Path) -> dict:
    """Size and types of a file, and bits, share of zeros and distinct values in a block of its linear weights."""
    from gguf import GGUFReader, dequantize

    linear = [t for t in GGUFReader(file).tensors if t.name.startswith("blk") and len(t.shape) == 2]
    distinct: dict[str, list[float]] = {}
    zeros = 0
    for tensor in linear:
        blocks = np.sort(dequantize(tensor.data, tensor.tensor_type).reshape(-1, BLOCK), axis=1)
        zeros += int((blocks == 0).sum())
        number = 1 + (np.diff(blocks, axis=1) != 0).sum(axis=1)
        distinct.setdefault(tensor.tensor_type.name, []).append(float(number.mean()))
    weights = sum(int(tensor.n_elements) for tensor in linear)
    return {
        "gigabytes": file.stat().st_size / 1e9,
        "bits": 8 * sum(int(tensor.n_bytes) for tensor in linear) / weights,
        "zeros": zeros / weights,
        "distinct": {name: sum(each) / len(each) for name, each in sorted(distinct.items())},
    }


def in_words(one: dict) -> str:
    """What the weights went through."""
    *names, last = one["distinct"]
    least, most = min(one["distinct"].values()), max(one["distinct"].values())
    return (
        f"a file of the types {', '.join(names)} and {last} ({one['gigabytes']:.2f} GB; {one['bits']:.1f} bits a "
        f"linear weight; {least:.0f} to {most:.0f} distinct values, mean by type, in {BLOCK} weights, "
        f"{one['zeros']:.1%} of which are exactly 0)"
    )


def with_sources(page: str) -> str:
    """The page with the texts on its models' sources."""
    sources = read(FILE)

    def text(match: re.Match[str]) -> str:
        one = sources[match[3]]
        texts = {
            "source": in_words(one),
            "size": f"{one['gigabytes']:.2f} GB",
            "bits": f"{one['bits']:.1f} bits a linear weight",
        }
        return match[1] + texts[match[2]]

    return TEXT.sub(text, page)


def main(arguments: list[str]) -> None:
    """Reads the sources of models."""
    files = dict(argument.split("=", 1) for argument in arguments)
    write(FILE, read(FILE) | {name: source(Path(file)) for name, file in files.items()})


if __name__ == "__main__":
    main(sys.argv[1:])
