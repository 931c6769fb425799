"""The tables and pictures of docs/study.md, its numbers and those of other pages, and studies/study/cells.csv.

All of it is made of the scores in studies/study:

python docs/figures/study.py
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import study_audit
import study_costs
import study_hypotheses as hypotheses
import study_pictures
import study_statistics as statistics
from cells import with_numbers, with_table
from sources import with_sources
from study_scores import MODELS, PARTS, STUDY, Scores, read_arrays

from jaxprune.base.text import csv_text, p_value, pipes
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.evaluation.scoring.priors import right_without_prior
from jaxprune.evaluation.translation.results import TRANSLATION
from jaxprune.report.charts.chart import write_png

FIGURES = Path(__file__).parent
PAGE = FIGURES.parent / "study.md"
# Pages whose prose has numbers of the study.
PAGES = (PAGE, FIGURES.parent / "guide" / "choose.md")
CELLS = STUDY / "cells.csv"
CODER = "code"


class Cell(NamedTuple):
    """A figure of a model in a language: a line of cells.csv."""

    part: str
    model: str
    calibration: str
    calibration_language: str
    sparsity: str
    draw: str
    task: str
    language: str
    measure: str
    value: float
    cpu: str
    code: str


def read_parts() -> dict[str, Scores]:
    """The scores of all parts."""
    return {part: Scores(read_arrays(STUDY / f"{part}.npz")) for part in PARTS}


def cells(parts: Mapping[str, Scores]) -> Iterator[Cell]:
    """All figures; shares in [0, 1], chrF and BLEU from 0 to 100."""
    models = json.loads(MODELS.read_text(encoding="utf-8"))
    for part, scores in parts.items():
        name = "Qwen2.5-Coder-0.5B-Instruct" if part == CODER else "Gemma 3 270M"
        for model in scores.models:
            calibration, language, sparsity, draw = (*model.split("-"), "", "", "")[:4]
            which = (part, name, calibration, language, sparsity, draw.removeprefix("draw"))
            made = models[part][model]
            for task, code, measure, value in figures(scores, model):
                made_by = made["cpu"], made.get("code", "")
                yield Cell(*which, task, code, measure, value, *made_by)


def figures(scores: Scores, model: str) -> Iterator[tuple[str, str, str, float]]:
    """(task, language, measure, value) of a model."""
    for task in ("xnli", "sentiment"):
        for code in scores.languages(model, task):
            scored = scores.scored(model, task, code)
            yield task, code, "accuracy", scored.correct.mean()
            yield task, code, "accuracy_without_prior", right_without_prior(scored).mean()
            chosen = scored.scores.argmax(axis=1)
            for option in range(scored.scores.shape[1]):
                yield task, code, f"chosen_{option}", (chosen == option).mean()
            if task == "xnli":
                for measure in ("discrimination", "contrast"):
                    yield task, code, measure, getattr(scores, measure)(model, code).mean()
    for code in scores.languages(model, PERPLEXITY):
        yield PERPLEXITY, code, "log_perplexity", scores.log_perplexity(model, code).mean()
    for code in scores.languages(model, TRANSLATION):
        yield TRANSLATION, code, "chrf", scores.chrf(model, code)
        yield TRANSLATION, code, "bleu", scores.bleu(model, code)


def cells_csv(parts: Mapping[str, Scores]) -> str:
    """The text of cells.csv."""
    return csv_text(Cell._fields, (one._replace(value=f"{one.value:.6g}") for one in cells(parts)))


def hypothesis_table(parts: Mapping[str, Scores]) -> str:
    """A row for each test of the protocol."""
    rows = [
        [name_of(one.test), *changes(one), p_value(one.holm), one.verdict]
        for one in statistics.results(hypotheses.all_tests(parts))
    ] + [
        [
            f"{name_of(one.test)}; by Wanda {by_wanda(one)}; "
            f"Student's over the draws {bounds(one.student, one.test.measure)}",
            *changes(one), "", one.verdict,
        ]
        for one in hypotheses.repeated_tests(parts)
    ]  # fmt: skip
    header = (
        "comparison, measure", "draws", "change [95%]", "bootstrap [95%]", "p, Holm", "verdict",
    )  # fmt: skip
    return "\n".join(pipes(header, rows))


def name_of(test: statistics.Test) -> str:
    """The first cell of a test's row."""
    return f"{test.hypothesis}: {test.name}, {test.measure.name}"


def by_wanda(repeated: statistics.Repeated) -> str:
    """Wanda's mean of the same change."""
    return signed(repeated.wanda, repeated.test.measure)


def changes(one: statistics.Tested) -> list[str]:
    """The number of draws, the mean with its interval, and the bootstrap's interval where texts are resampled."""
    values, measure = one.test.values, one.test.measure
    bootstrap = statistics.crossed_bootstrap(values) if values.ndim == 2 else one.test.bootstrap
    return [f"{len(values)}", shown(one), bounds(bootstrap, measure) if bootstrap else ""]


def shown(one: statistics.Tested) -> str:
    """A change with its interval, in the units of the measure."""
    return f"{signed(one.test.mean, one.test.measure)} {bounds(one.interval, one.test.measure)}"


def bounds(interval: tuple[float, float], measure: statistics.Measure) -> str:
    """An interval without its unit."""
    return "[{}, {}]".format(*(signed(one, measure._replace(unit="")) for one in interval))


def signed(value: float, measure: statistics.Measure) -> str:
    """A change in the units of its measure."""
    digits = 1 if measure.shown == 100 else 3
    return f"{measure.shown * value:+.{digits}f}{measure.unit}".replace("-", "−")


def numbers(parts: Mapping[str, Scores]) -> dict[str, str]:
    """The numbers of the prose by name."""
    made = {}
    repeated = hypotheses.repeated_tests(parts)
    for again in repeated:
        name = f"{again.test.hypothesis} {again.test.measure.name}"
        made[f"{name} over draws"] = bounds(again.student, again.test.measure)
        made[f"{name} by Wanda"] = by_wanda(again)
    results = statistics.results(hypotheses.all_tests(parts))
    found = [*results, *repeated]
    for one in found:
        made |= _texts(one)
    made |= study_costs.prose(parts) | study_audit.prose(parts, results)
    return made | {f"{name} verdict": text for name, text in statistics.verdicts(found).items()}


def _texts(one: statistics.Tested) -> dict[str, str]:
    """A change with its interval; one of log-perplexity also as a change or a fall of perplexity in percent.

    The interval of a percentage covers draws and texts: the bootstrap's where the other is of draws alone.
    """
    test = one.test
    name = f"{test.hypothesis} {test.name} {test.measure.name}"
    made = {name: shown(one)}
    if test.measure in (hypotheses.LOG_PERPLEXITY, hypotheses.WORST):
        values = 100 * np.expm1([test.mean, *(test.bootstrap or one.interval)])
        digits = 0 if abs(values[0]) >= 10 else 1
        texts = (f"{x:+.{digits}f}".replace("-", "−") for x in values)
        made[f"{name} percent"] = "{}% [{}, {}]".format(*texts)
        made[f"{name} lower"] = "{:.0f}% [{:.0f}, {:.0f}]".format(*-values[[0, 2, 1]])
    return made


def written(pages: Mapping[Path, str], parts: Mapping[str, Scores]) -> dict[Path, str]:
    """The texts of the pages with the tables and the numbers of these scores."""
    tables = {
        "hypotheses": hypothesis_table(parts),
        "costs": study_costs.cost_tables(parts),
        "code": study_costs.code_tables(parts),
        "sentiment": study_costs.sentiment_table(parts),
        "highest": study_costs.highest_table(parts),
    }
    made = numbers(parts)
    texts = {page: with_sources(with_numbers(text, made)) for page, text in pages.items()}
    for name, table in tables.items():
        texts[PAGE] = with_table(texts[PAGE], f"<!-- {name} -->\n\n", table)
    return texts


def read_pages() -> dict[Path, str]:
    """The pages as they stand."""
    return {page: page.read_text(encoding="utf-8") for page in PAGES}


def main() -> None:
    """Writes all of it."""
    parts = read_parts()
    CELLS.write_text(cells_csv(parts), encoding="utf-8")
    for page, text in written(read_pages(), parts).items():
        page.write_text(text, encoding="utf-8")
    for name, chart in study_pictures.pictures(parts).items():
        write_png(chart, FIGURES / f"study-{name}.png")


if __name__ == "__main__":
    main()
