"""The table of docs/guide/shrink.md, from studies/shrinking/cells.json.

python docs/figures/shrink.py                writes it
python docs/figures/shrink.py RUN RUN ...    first collects workdirs of evaluated models into cells.json
"""

import json
import sys
from pathlib import Path

from cells import bits_per_byte, collected, with_table
from sources import with_sources

from jaxprune.base.text import pipes

PAGE = Path(__file__).parents[1] / "guide" / "shrink.md"
CELLS = Path(__file__).parents[2] / "studies" / "shrinking" / "cells.json"
BEGIN = "<!-- studies/shrinking/cells.json -->\n\n"
# Settings of a run that the table shows.
SHOWN = ("words", "tokens", "layers", "drop_layers", "mlp")


def cell(run: Path) -> dict:
    """An evaluated run: settings, sizes, growth of held-out texts and bits per byte by language."""
    bits = bits_per_byte(run)
    if not (run / "report.json").is_file():
        return {"bits": bits}
    report, config = (
        json.loads((run / name).read_text(encoding="utf-8"))
        for name in ("report.json", "config.json")
    )
    shrunk = report["shrunk"]
    fields = shrunk.get("config", config)["shrink"]  # of the run before a recovery
    settings = {name: fields[name] for name in SHOWN if fields.get(name) is not None}
    if "losses" in report:
        settings["recovery.how"] = config["recovery"]["how"]
    heldout = shrunk.get("heldout", {})
    return {
        "settings": {"texts": fields["vocabulary"] is not None, **settings},
        "tokens": shrunk["tokens"]["after"],
        "layers": shrunk["layers"]["after"],
        "parameters": shrunk["parameters"]["after"] / shrunk["parameters"]["before"],
        "bytes": report["weight_bytes"]["hf"],
        "growth": {code: found["after"] / found["before"] - 1 for code, found in heldout.items()},
        "bits": bits,
    }


def name_of(settings: dict) -> str:
    """Settings as they are typed, without their group."""
    parts = [f"{name}={value}" for name, value in settings.items() if name != "texts"]
    return ", ".join(["texts"] * settings["texts"] + parts)


def table(cells: dict) -> str:
    """A row for each cell, in Markdown, the largest models first."""
    codes = [*cells["dense"]["bits"]]
    heading = ["kept", "tokens", "layers", "parameters", "GB"]
    heading += [*(f"tokens {code}" for code in codes), *(f"bits {code}" for code in codes)]
    shown = []
    dense = cells["dense"]["bits"]
    found = [one for key, one in cells.items() if key != "dense"]
    for one in sorted(found, key=lambda one: (one["layers"], one["parameters"]), reverse=True):
        growth = [f"{100 * one['growth'][code]:+.1f}" if one["growth"] else "" for code in codes]
        shown.append(
            [
                f"`{name_of(one['settings'])}`",
                f"{one['tokens']:,}",
                f"{one['layers']}",
                f"{100 * one['parameters']:.1f}%",
                f"{one['bytes'] / 1e9:.2f}",
                *growth,
                *(f"{100 * (one['bits'][code] / dense[code] - 1):+.1f}" for code in codes),
            ]
        )
    return "\n".join(pipes(heading, shown)) + "\n"


def written(page: str, cells: dict) -> str:
    """The page with the table of these cells."""
    return with_sources(with_table(page, BEGIN, table(cells)))


def main(runs: list[str]) -> None:
    """Collects runs, if any, and writes the page's table."""
    cells = collected(CELLS, runs, cell)
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), cells), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
