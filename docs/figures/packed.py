"""The table of packings in docs/guide/pack.md, and README's sentence on their costs, from studies/pack/cells.json.

python docs/figures/packed.py        writes the table
python docs/figures/packed.py OUT    first collects the packings that studies/pack/three_sizes.sh made there
"""

import sys
from pathlib import Path

from cells import read, with_numbers, with_table, write

from jaxprune.base.files.outside import read_json
from jaxprune.base.text import count, interval, percent, pipes, points
from jaxprune.pages.packed_model import PACKING, file_size_text

ROOT = Path(__file__).parents[2]
PAGE, CELLS = ROOT / "docs" / "guide" / "pack.md", ROOT / "studies" / "pack" / "cells.json"
BEGIN = "<!-- studies/pack/cells.json -->\n\n"
NAMES = {
    "smollm2": "SmolLM2-135M",
    "gemma3-270m": "Gemma 3 270M",
    "qwen05": "Qwen2.5-Coder-0.5B",
}
LANGUAGES = ("fr", "sw")


def collected(out: Path) -> dict:
    """By model the result of its packing, the seconds that it counted, those of the command, and bytes of memory."""
    cells = {}
    for line in (out / "times").read_text("utf-8").splitlines():
        name, seconds, kilobytes = line.split()
        record = read_json(out / name / PACKING)
        cells[name] = {
            "run_seconds": record["seconds"], "seconds": float(seconds), "memory": 1024 * int(kilobytes),
            **record["result"],
        }  # fmt: skip
    return cells


def table(cells: dict) -> str:
    """A row for each model."""
    rows = []
    for name, label in NAMES.items():
        cell = cells[name]
        sizes, speed = cell["bytes"], cell["speed"]
        changes = [
            f"{points(own['difference'])} {interval((own['low'], own['high']), points)}"
            for own in (cell["languages"][code] for code in LANGUAGES)
        ]
        share = percent(sizes["after"] / sizes["before"], 0)
        rows.append(
            [
                label,
                f"{file_size_text(sizes['after'])} ({share}%)",
                *changes,
                f"{speed['after'] / speed['before']:.1f}",
                *costs(cell),
            ]
        )
    heading = [
        "model", "model.gguf (of 16 bits)", "French, %", "Swahili, %", "times as fast in llama.cpp", "minutes",
        "GB of memory",
    ]  # fmt: skip
    return "\n".join(pipes(heading, rows)) + "\n"


def costs(cell: dict) -> tuple[str, str]:
    """Minutes, and GB of memory."""
    return count(cell["seconds"] / 60), f"{cell['memory'] / 1e9:.1f}"


def sentence(cells: dict) -> str:
    """What the packing in README costs, and those of the other models."""
    (minutes, memory), *others = (
        costs(cells[name]) for name in ("gemma3-270m", "smollm2", "qwen05")
    )
    (small, small_memory), (large, large_memory) = others
    return (
        f"On two cores this took {minutes} minutes and {memory} GB; "
        f"SmolLM2-135M takes {small} minutes and {small_memory} GB, Qwen2.5-Coder-0.5B {large} and {large_memory}:"
    )


def numbers(cells: dict) -> dict[str, str]:
    """The numbers in the prose of the page."""
    cell = cells["gemma3-270m"]
    minutes, memory = costs(cell)
    speed = cell["speed"]
    return {
        "minutes": minutes,
        "memory": memory,
        "size": file_size_text(cell["bytes"]["after"]),
        "fr": f"{points(cell['languages']['fr']['difference'])}%",
        "sw": f"{points(cell['languages']['sw']['difference'])}%",
        "speed": f"{speed['after'] / speed['before']:.1f}",
    }


def written(page: str, cells: dict) -> str:
    """The page with this table and these numbers."""
    return with_numbers(with_table(page, BEGIN, table(cells)), numbers(cells))


def main() -> None:
    """Writes the table."""
    if len(sys.argv) > 1:
        write(CELLS, collected(Path(sys.argv[1])))
    PAGE.write_text(written(PAGE.read_text("utf-8"), read(CELLS)), "utf-8")


if __name__ == "__main__":
    main()
