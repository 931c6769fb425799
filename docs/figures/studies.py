"""The pictures of docs/real_models.md, from the scores in studies/: python docs/figures/studies.py."""

import shutil
import tempfile
from pathlib import Path

from jaxprune.charts import Chart, Estimate, Series, grid, interval_chart, write_png
from jaxprune.sweep import rebuild
from jaxprune.sweep.tables_json import PerplexityRow, PerplexityTables

FIGURES = Path(__file__).parent
STUDIES = FIGURES.parents[1] / "studies"
NAMES = {
    "monolingual": "plain text",
    "translation": "translations into English",
    "translation_vs_code": "refined: translations over code",
}
# Of its samples a quarter each is in French, Russian, Chinese and Swahili.
MIXTURE = "plain text of four languages"


def picture(name: str, found: PerplexityTables) -> Chart:
    """Perplexity times the dense model's after calibration on each language: in that language, and in English."""
    rows = [
        row
        for row in found.variants
        if row.calibration in NAMES and not (_mixed(row) and row.calibration != "monolingual")
    ]
    charts = []
    for sparsity in sorted({row.sparsity or 0.0 for row in rows}):
        of_sparsity = [row for row in rows if row.sparsity == sparsity]
        charts += [
            _chart(_own(of_sparsity), f"{sparsity:.0%}, text in the language of the calibration"),
            _chart(_english(of_sparsity), f"{sparsity:.0%}, English text, by calibration"),
        ]
    return grid(charts, title=f"{name}: perplexity", columns=2)


def _own(rows: list[PerplexityRow]) -> list[Series]:
    """In each language what was calibrated on it."""
    series = {_name(row): {} for row in rows}
    for row in rows:
        asked = [code for code in row.languages if code != "en"] if _mixed(row) else [row.language]
        series[_name(row)] |= {code: _estimate(row, code) for code in asked}
    return [Series(name, values) for name, values in series.items()]


def _english(rows: list[PerplexityRow]) -> list[Series]:
    """In English, by the language that was calibrated on."""
    series = {_name(row): {} for row in rows}
    for row in rows:
        series[_name(row)]["all four" if _mixed(row) else row.language] = _estimate(row, "en")
    return [Series(name, values) for name, values in series.items()]


def _mixed(row: PerplexityRow) -> bool:
    return "+" in (row.language or "")


def _name(row: PerplexityRow) -> str:
    return MIXTURE if _mixed(row) else NAMES[row.calibration]


def _estimate(row: PerplexityRow, code: str) -> Estimate:
    cell = row.languages[code]
    return Estimate(cell.ratio, *(cell.interval or ()))


def _chart(series: list[Series], title: str) -> Chart:
    return interval_chart(series, title=title, unit="times the dense model's", chance=1.0)


def main() -> None:
    """Draws a picture of each study."""
    for study in sorted(file.parent for file in STUDIES.rglob("sweep.json")):
        with tempfile.TemporaryDirectory() as folder:  # tables are written beside the scores
            found = rebuild(Path(shutil.copytree(study, Path(folder, "sweep")))).perplexity
        assert found is not None
        write_png(picture(study.name, found), FIGURES / f"{study.name}.png")


if __name__ == "__main__":
    main()
