"""report.html of a sweep: the effect of each calibration on each language, with its significance."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxprune import charts, html_report
from jaxprune.html_report import Markup, Section, charts_row, join, note, table, tag
from jaxprune.sweeps import tables_json, text
from jaxprune.sweeps.text import row_name
from jaxprune.tables import TextTable, signed
from jaxprune.tables import seconds as in_seconds

_UNIT = "points against dense"
# A share of rows: larger changes are reported as numbers and not drawn to scale.
_FAR = 0.25


def document(sweep: tables_json.SweepTables) -> Markup:
    """The page."""
    sections = [_task_section(task, of_task) for task, of_task in sweep.tasks.items()]
    if sweep.perplexity:
        sections.append(_perplexity_section(sweep.perplexity))
    if sweep.translation:
        sections.append(_translation_section(sweep.translation))
    if sweep.draws:
        tables = _titled("over the draws", text.draw_tables(sweep.draws))
        sections.append(Section("draws", "Over the draws", join(note(text.DRAWS), *tables)))
    first = Section("helped", "Changes by calibration", _overview(sweep))
    last = Section("time", "Time", _time(sweep.seconds))
    calibration = sweep.calibration
    lead = html_report.fact_list({
        "model": sweep.model,
        "demonstrations": f"{calibration.samples} samples of {calibration.shots}, {calibration.data}",
        "target": calibration.target,
        "propagate": sweep.propagate,
    })  # fmt: skip
    if unfinished := text.unfinished(sweep):
        lead = join(tag("p", tag("strong", unfinished)), lead)
    return html_report.page("Effects of each calibration", lead, [first, *sections, last])


def _overview(sweep: tables_json.SweepTables) -> Markup:
    """A table of verdicts for each task."""
    parts = []
    for task, of_task in sweep.tasks.items():
        _, header, rows = text.change_table(of_task, _verdict, "dense, %")
        parts += [
            tag("h3", tag("a", task, href=f"#task-{task}")),
            tag("p", text.helped(of_task)),
            table(header, rows, caption=f"{task}: change by calibration"),
        ]
    marks = [
        tag("span", html_report.verdict_mark(kind), word)
        for kind, word in (("better", "better"), ("worse", "worse"), ("unclear", "may be noise"))
    ]
    how = [note(line.replace("`", "")) for line in text.ABOUT]
    return join(note(tag("span", *marks, class_="legend")), *parts, *how)


def _verdict(cell: tables_json.Cell | tables_json.Mean) -> Markup:
    """A change with its stars, in the colour of its verdict."""
    kind = charts.verdict(cell.difference, cell.significant)
    return tag("span", text.short_change(cell), class_=kind)


def _task_section(task: str, of_task: tables_json.TaskTables) -> Section:
    left_out = [row_name(row) for row in of_task.rows if _is_destroyed(row)]
    drawn = [(name, cells) for name, cells in text.named_cells(of_task) if name not in left_out]
    drawings = []
    for column in (*of_task.codes, text.MEAN):
        changes = {
            name: charts.Estimate(
                cell.difference,
                *cell.difference_interval,
                charts.verdict(cell.difference, cell.significant),
            ).scaled(100)
            for name, cells in drawn
            if (cell := cells.get(column))
        }
        if changes:
            title = "mean of the languages but en" if column == text.MEAN else column
            drawings.append(
                charts.interval_chart(
                    {"": changes},
                    title=title,
                    unit=_UNIT,
                    reference=("unchanged", 0.0),
                    show=signed,
                )
            )
    protocol = tag("code", of_task.protocol)
    tables = [one for one in text.task_tables(of_task) if one.title != "Change"]
    hidden = f"Not drawn, as the scale would hide the others: {', '.join(left_out)}."
    body = join(
        note(f"{text.row_count(of_task)} rows a language, protocol ", protocol),
        charts_row(*drawings),
        note(hidden) if left_out else None,
        *_titled(task, tables),
        _elsewhere(task, of_task) if of_task.variants else None,
    )
    return Section(f"task-{task}", task, body)


def _perplexity_section(found: tables_json.PerplexityTables) -> Section:
    parts = [note(text.perplexity_note(found))]
    if found.variants:
        drawn = _variant_map(
            found.variants,
            list(found.dense),
            lambda cell: cell.ratio,
            title="Perplexity, ratio to the dense model's",
            x_title="text in",
            unit="perplexity ÷ dense",
            log=True,
            show=text.ratio,
        )
        parts.append(charts_row(drawn))
    parts += _titled("perplexity", text.perplexity_tables(found))
    return Section("perplexity", "Perplexity", join(*parts))


def _translation_section(translation: tables_json.TranslationTables) -> Section:
    tables = _titled("translation", text.translation_tables(translation))
    about = (
        f"Into {translation.target}, {translation.shots} shots, {text.row_count(translation)} sentences a language, "
        "each model from the language of its calibration. In brackets the change against dense; stars: "
        "sacrebleu's paired bootstrap of BLEU, with Holm's correction as above."
    )
    return Section("translation", "Translation", join(note(about), *tables))


def _titled(about: str, tables: Iterable[TextTable]) -> list[Markup]:
    return [
        join(tag("h3", title), table(header, rows, caption=f"{about}: {title}"))
        for title, header, rows in tables
    ]


def _is_destroyed(row: tables_json.CalibrationRow) -> bool:
    """Whether every language lost more than `_FAR`, as with random masks."""
    return all(cell.difference < -_FAR for cell in row.languages.values())


def _elsewhere(task: str, of_task: tables_json.TaskTables) -> Markup:
    """Every variant in every language; the colour scale ends at `_FAR`."""
    changes = [abs(cell.difference) for one in of_task.variants for cell in one.languages.values()]
    far = 100 * min(max(changes, default=0.0), _FAR)
    drawn = _variant_map(
        of_task.variants,
        of_task.codes,
        lambda cell: 100 * cell.difference,
        title="Every variant in every language, points against dense",
        x_title="evaluated in",
        limits=(-far, far),
        scheme=charts.DIVERGING,
        show=signed,
    )
    about = note("The effect of a calibration in one language (in the name) on the others.")
    tables = _titled(task, text.variant_tables(of_task)[1:])
    return join(tag("h3", "Elsewhere"), about, charts_row(drawn), *tables)


def _variant_map(
    variants: Sequence[tables_json.VariantRow] | Sequence[tables_json.PerplexityRow],
    codes: Sequence[str],
    value: Callable[[Any], float],
    **looks: Any,
) -> charts.Chart:
    """A value of every variant's cell in every language; empty where it was not evaluated."""
    values = [
        [value(one.languages[code]) if code in one.languages else np.nan for code in codes]
        for one in variants
    ]
    return charts.heatmap(np.array(values), [one.variant for one in variants], codes, **looks)


def _time(seconds: Mapping[str, float]) -> Markup:
    rows = [[stage, in_seconds(total)] for stage, total in seconds.items()]
    rows.append(["together", in_seconds(sum(seconds.values()))])
    return table(["stage", "seconds"], rows, caption="seconds by stage")
