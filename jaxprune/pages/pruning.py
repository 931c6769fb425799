"""Sections on the model: dropped weights, magnitudes of features, masks, pictures of an analysis."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxprune.base.text import Table
from jaxprune.base.workdir.json_files import Report
from jaxprune.pages.plots import magnitude_lines
from jaxprune.report.charts.lines import Line, line_chart, lines_of
from jaxprune.report.charts.rows import bar_chart
from jaxprune.report.document import Charts, Folded, Part, Picture, Section
from jaxprune.stats.stats import ActivationStats

_ALL = (0.0, 100.0)  # limits of percent
# Pictures of an analysis that show all sites at once.
_OF_THE_MODEL = ("language_neurons", "masks", "overlap_by_layer")


def sparsity_section(report: Report) -> Section:
    """Share of dropped weights by layer and by kernel, as measured; `report` is report.json."""
    sparsity = report["sparsity"]
    layers = Line("dropped", [100 * share for share in sparsity["layers"]])
    kernels = [
        (name.removesuffix("/kernel"), 100 * share) for name, share in sparsity["kernels"].items()
    ]
    charts = [
        line_chart([layers], title="Dropped by layer, %", y_title="dropped, %", limits=_ALL),
        bar_chart(kernels, title="Dropped by kernel, %", most=100),
    ]
    if measured := report.get("allocation", {}).get("measured"):
        by_name = [m if isinstance(m, Mapping) else {"measured": m} for m in measured]
        lines = lines_of({name: [layer[name] for layer in by_name] for name in by_name[0]})
        charts.append(line_chart(lines, title="Measured for the allocation", y_title="measured"))
    return Section("sparsity", "Sparsity", [Charts(charts)])


def rounding_section(report: Report) -> Section:
    """The errors of rounded kernels by layer, and their grids if these differ; `report` is report.json."""
    errors, grids = report["quantized"]["errors"], report["quantized"]["grids"]
    lines = lines_of(
        {
            kernel.removesuffix("/kernel"): [100 * layer[kernel] for layer in errors]
            for kernel in errors[0]
        }
    )
    text = (
        "Share of the squared outputs of each linear layer that rounding changes, on the calibration set; without its "
        "Gram matrices, inputs count as independent."
    )
    chart = line_chart(lines, title="Error by layer, %", y_title="changed, %", log=True)
    parts: list[Part] = [text, Charts([chart])]
    if grids:
        names = sorted({name for layer in grids for name in layer.values()})
        rows = [
            [kernel.removesuffix("/kernel"), *(layers_on(grids, kernel, name) for name in names)]
            for kernel in errors[0]
        ]
        parts.append(Table("Layers by grid", ["kernel", *names], rows))
    return Section("rounding", "Errors of rounding", parts)


def layers_on(grids: Sequence[Mapping[str, str]], kernel: str, name: str) -> str:
    """The number of layers whose kernel has a grid."""
    return str(sum(layer[kernel] == name for layer in grids))


def magnitude_section(stats: ActivationStats) -> Section:
    """The largest and the median feature of the calibration set by site and layer."""
    text = (
        "Root mean square over tokens of the input features of each linear layer, in the "
        "calibration set: the largest feature and the median one."
    )
    charts = [
        line_chart(lines, title=f"{site}, RMS", y_title="RMS", log=True)
        for site, lines in magnitude_lines(stats).items()
    ]
    return Section("magnitudes", "Magnitudes of features", [text, Charts(charts)])


def analysis_section(figures: Sequence[Path]) -> Section | None:
    """The pictures of an analysis, as its PNG files have them: those of the whole model, and those of sites, folded."""
    if not figures:
        return None
    parts: list[Part] = []
    for file in sorted(figures, key=lambda file: file.stem not in _OF_THE_MODEL):
        title = file.stem.replace("_", " ")
        picture = Picture(title, file.read_bytes())
        parts.append(picture if file.stem in _OF_THE_MODEL else Folded(title, [picture]))
    return Section("analysis", "Analysis of the dense model", parts)
