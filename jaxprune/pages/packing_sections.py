"""The section on a packing: its verdict, its figures by language, and all sizes and losses that were measured."""

from collections.abc import Mapping
from typing import Any

from jaxprune.pages.packed_model import (
    file_size_text,
    pack_command,
    packed_facts,
    result_table,
    verdict,
)
from jaxprune.report.charts.points import Point, point_chart
from jaxprune.report.document import Charts, Command, Facts, Note, Part, Section


def packing_lead(record: Mapping[str, Any]) -> list[Part]:
    """The verdict, the facts of the terminal, and the command."""
    facts = Facts(packed_facts(record))
    return [verdict(record["result"]), facts, Command("Packed by", pack_command(record))]


def packing_section(record: Mapping[str, Any]) -> Section:
    """The section of a finished packing; `record` is pack.json."""
    chosen = record["chosen"]["name"]
    points = [
        Point(
            file_size_text(step["bytes"]), step["bytes"] / 1e9, 100 * max(step["losses"].values()),
            step["name"] == chosen,
        )
        for step in record["steps"]
    ]  # fmt: skip
    result = record["result"]
    points.append(Point("dense, 16 bits", result["bytes"]["before"] / 1e9, 0.0, True))
    chart = point_chart(
        points,
        title="Sizes and largest losses",
        x_title="GB",
        y_title="bits per byte, % more",
        reference=("limit", 100 * result["limit"]),
    )
    about = (
        "The picture has the losses on the part of the text by which the model was chosen, the table those on the "
        "other part. The limit is one of bits per byte; perplexities are per token of the dense model, so their ratios "
        "are larger."
    )
    return Section("packed", "Size and loss", [result_table(result), Charts([chart]), Note(about)])
