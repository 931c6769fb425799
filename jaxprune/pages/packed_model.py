"""A finished packing → its figures by language, its verdict, and the table of the terminal and the page."""

import shlex
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from jaxprune.base.text import (
    NONE,
    Table,
    count,
    fraction,
    interval,
    named_values,
    percent,
    points,
    table_lines,
    wrapped,
)
from jaxprune.base.workdir.reading import GGUF, read_report
from jaxprune.data.languages import language
from jaxprune.evaluation.changes import FEWEST_PARTS
from jaxprune.evaluation.comparison import compare_evaluations
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.gguf.write import file_size
from jaxprune.hf.model import Model, load

PACKING = "pack.json"
_HEADER = (
    "language", "dense, bits/byte", "packed", "change, %", "95% interval", "split otherwise, %",
    "more tokens, %",
)  # fmt: skip


def packed_result(
    model: Model, dense: Path, workdir: Path, shrunk: Mapping[str, Any], limit: float
) -> dict[str, Any]:
    """The figures of a packing.

    Args:
      model: the dense model.
      dense: the workdir of its evaluation.
      workdir: the packed model, evaluated on the same text.
      shrunk: the report on its tokens, see `report_on`; empty if it has all.
      limit: share of bits per byte that a language may lose.

    Returns:
      `bytes` of model.gguf and of a dense file of 16 bits, `tokens` before and after, `limit`, and by language the
      change of bits per byte, with its interval, and the splits of the reported lines.
    """
    comparison = compare_evaluations([open_evaluation(dense), open_evaluation(workdir)])
    by_language = {
        change.language: {
            name: getattr(change, name)
            for name in ("base_value", "value", "difference", "low", "high", "parts")
        }
        | shrunk.get("heldout", {}).get(change.language, {})
        for change in comparison.changes
        if change.measure == "bits_per_byte"
    }
    return {
        "bytes": {
            "before": file_size(model, Types("f16", "f16")),
            "after": (workdir / GGUF).stat().st_size,
        },
        "tokens": {
            "before": model.config.vocab_size,
            "after": load(workdir / "hf").config.vocab_size,
        },
        "limit": limit,
        "languages": by_language,
    }


def pack_command(record: Mapping[str, Any], *, is_public: bool = False) -> str:
    """The command that repeats a packing, into OUT.

    Args:
      record: pack.json.
      is_public: leave only the last parts of paths, as for a card that may be published.
    """
    flags = {
        name: value
        for name, value in record["identity"].items()
        if name.startswith("--") and (name, value) != ("--seed", 0)
    }
    if is_public:
        texts = flags.keys() & {"--text", "--heldout"}
        flags |= {name: PurePath(flags[name]).name for name in texts}
        flags["--model"] = record["origin"]["name"]
    command = ["jaxprune", "pack", *(part for pair in flags.items() for part in map(str, pair))]
    return shlex.join([*command, "--workdir", "OUT"])


def verdict(result: Mapping[str, Any]) -> str:
    """The result in two sentences; a bad one, or one on the model's own text, begins with what is wrong."""
    by_language, sizes = result["languages"], result["bytes"]
    worst, figures = max(by_language.items(), key=lambda item: item[1]["difference"])
    loss = figures["difference"]
    most = f"{language(worst).name} loses most, {points(loss)}% bits per byte"
    if figures["low"] is not None:
        most += f" {interval((figures['low'], figures['high']), points)}"
    limit = f"{percent(result['limit'])}%"
    size = (
        f"{GGUF} has {file_size_text(sizes['after'])}, {percent(sizes['after'] / sizes['before'], 0)}% of "
        f"{file_size_text(sizes['before'])} in 16 bits."
    )
    few = [language(code).name for code, own in by_language.items() if own["parts"] < FEWEST_PARTS]
    if round(loss, 3) > result["limit"]:  # as it is printed
        return f"Over the limit of {limit}: {most}. {size}"
    if result.get("generated", {}).get("is_measured"):
        return f"Measured on text that the model wrote itself; on real text the loss may be larger. {most}. {size}"
    if few:
        return f"Too little text was held out to judge {', '.join(few)}. {most}. {size}"
    is_certain = round(figures["high"], 3) <= result["limit"]
    within = "Within" if is_certain else "Probably within"
    return f"{within} the limit of {limit}: {most}. {size}"


def file_size_text(size: int) -> str:
    """MB of 10^6 bytes below 1 GB, otherwise GB."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{count(size / 1e6)} MB"


def result_table(result: Mapping[str, Any]) -> Table:
    """The figures by language."""
    rows = []
    for code, figures in result["languages"].items():
        bounds = None if figures["low"] is None else (figures["low"], figures["high"])
        splits = [NONE, NONE]
        if "texts" in figures:
            splits = [
                percent(1 - figures["same"] / figures["texts"]),
                points(figures["after"] / figures["before"] - 1),
            ]
        values = fraction(figures["base_value"]), fraction(figures["value"])
        change = points(figures["difference"]), interval(bounds, points)
        rows.append([language(code).name, *values, *change, *splits])
    return Table("", _HEADER, rows)


def packed_facts(record: Mapping[str, Any]) -> dict[str, str]:
    """Tokens, seconds and speed of a finished packing."""
    result = record["result"]
    tokens = result["tokens"]
    facts = {
        "tokens": f"{count(tokens['after'])} of {count(tokens['before'])}",
        "seconds": count(record["seconds"]),
        "speed": "not measured, as llama-cpp-python is not installed",
    }
    if speed := result["speed"]:
        facts["speed"] = (
            f"generates {speed['after']:.0f} tokens/s in llama.cpp, the dense model in 16 bits {speed['before']:.0f}"
        )
    if "generated" in result:
        facts["text"] = "written by the model itself, for want of --text"
    return facts


def print_packed(record: Mapping[str, Any], workdir: Path) -> None:
    """Prints the verdict, the table, and the next commands."""
    result, report = record["result"], read_report(workdir) or {}
    facts = {**packed_facts(record), "written": f"{workdir}/{GGUF}, {workdir}/hf"}
    if warning := report.get("quantized", {}).get("warning"):
        facts["warning"] = warning
    commands = {
        "talk to it": f"llama-cli -m {workdir}/{GGUF}",
        "its page": f"jaxprune report {workdir} --against {workdir}/steps/dense",
        "check its files": f"jaxprune verify {workdir}",
    }
    lines = ["", *wrapped(verdict(result)), "", *table_lines(result_table(result)), ""]
    lines += [*named_values(facts), "", *named_values(commands)]
    print("\n".join(lines))
