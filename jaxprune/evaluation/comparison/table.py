"""A comparison of two runs as a table: for the terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.files import write_json, write_text

WIDTH = 100  # columns of a terminal
_JOINED = "\N{NO-BREAK SPACE}"  # between words that stay on one line

# Titles over the columns. The first column is the language.
_GROUPS = (
    ("", ("",)),
    ("accuracy %", ("A", "B")),
    ("change, points", ("B-A", "95% interval")),
    ("p", ("boot", "McN", "Holm  ")),
    ("gap to en", ("A", "B")),
    ("RankC", ("A", "B")),
)

_CSV = (
    "task", "protocol", "language", "rows", "accuracy_a", "accuracy_b", "difference", "low", "high",
    "p_bootstrap", "p_mcnemar", "p_holm", "significant", "gap_to_english_a", "gap_to_english_b",
    "f1_a", "f1_b", "rankc_a", "rankc_b", "rankc_official_a", "rankc_official_b",
)  # fmt: skip


def table(comparison: Mapping[str, Any]) -> str:
    """Lines for a terminal of WIDTH columns; `comparison` is what `compare.compare_runs` returns."""
    lines = [f"A  {comparison['a']}", f"B  {comparison['b']}"]
    if comparison["tasks"]:
        lines += ["", *_wrapped(_legend(comparison["method"]))]
    for task, found in comparison["tasks"].items():
        lines += ["", _title(task, found), *_columns(_rows(found), len(found["languages"]))]
        lines += [line for note in _notes(found) for line in _wrapped(note)]
    for title, header, rows in _text_tables(comparison):
        lines += ["", title, *_plain(header, rows)]
    lines += [""] + [line for note in _left_out(comparison) for line in _wrapped(note)]
    lines += _wrapped(_mask_summary(comparison))
    for part, shares in _mask_parts(comparison):
        listed = ", ".join(f"{name}{_JOINED}{share:.3f}" for name, share in shares.items())
        lines += _wrapped(f"IoU by {part}: {listed}", indent="  ")
    return "\n".join(lines) + "\n"


def markdown(comparison: Mapping[str, Any]) -> str:
    """The same as a Markdown document."""
    lines = [
        "# Comparison of two runs",
        "",
        f"- A: `{comparison['a']}`",
        f"- B: `{comparison['b']}`",
    ]
    if comparison["tasks"]:
        lines += ["", _legend(comparison["method"])]
    titles = ["language"] + [
        f"{group} {name}".strip() for group, names in _GROUPS[1:] for name in names
    ]
    for task, found in comparison["tasks"].items():
        rows = [[cell.strip() for cell in row] for row in _rows(found)]
        lines += ["", f"## {_title(task, found)}", "", *pipes(titles, rows), ""]
        lines += [f"- {note}" for note in _notes(found)]
    for title, header, rows in _text_tables(comparison):
        header = [cell.strip() for cell in header]
        lines += ["", f"## {title}", "", *pipes(header, [[c.strip() for c in row] for row in rows])]
    lines += ["", "## Masks", "", _mask_summary(comparison)]
    for part, shares in _mask_parts(comparison):
        lines += [
            "",
            *pipes([part, "IoU"], [[name, f"{iou:.3f}"] for name, iou in shares.items()]),
        ]
    if left_out := _left_out(comparison):
        lines += ["", "## Left out", "", *(f"- {note}" for note in left_out)]
    return "\n".join(lines) + "\n"


def csv_text(comparison: Mapping[str, Any]) -> str:
    """A line for each task with options and language, all digits, shares in [0, 1]; empty where there is none."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_CSV)
    none = {"a": None, "b": None}
    for task, found in comparison["tasks"].items():
        for code, figure in found["languages"].items():
            p, gap = figure["p"], figure["gap_to_english"] or none
            rankc = figure["rankc"] or {
                side: {"corrected": None, "official": None} for side in "ab"
            }
            writer.writerow([
                task, found["protocol"], code, figure["rows"], *figure["accuracy"].values(),
                figure["difference"], *figure["interval"], p["bootstrap"], p["mcnemar"], p["holm"],
                figure["significant"], *gap.values(), *figure["f1"].values(),
                *(rankc[side][kind] for kind in ("corrected", "official") for side in "ab"),
            ])  # fmt: skip
    return file.getvalue()


def write(comparison: Mapping[str, Any], folder: Path) -> None:
    """Writes compare.csv, compare.md and, last, compare.json; each is whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "compare.csv", csv_text(comparison))
    write_text(folder / "compare.md", markdown(comparison))
    write_json(folder / "compare.json", comparison)


# Cells.


def _rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Cells of the languages, then of the means."""
    rows = [_row(code, figure) for code, figure in found["languages"].items()]
    rows.append(_row("mean", found["mean"]))
    if found["mean_non_english"]:
        rows.append(_row("non-en", found["mean_non_english"]))
    return rows


def _row(name: str, figure: Mapping[str, Any]) -> list[str]:
    p, gap, rankc = (figure.get(key) or {} for key in ("p", "gap_to_english", "rankc"))
    star = " *" if figure.get("significant") else "  "
    return [
        name,
        *(_percent(figure["accuracy"][side]) for side in "ab"),
        _percent(figure["difference"], "+"),
        _interval(figure["interval"]),
        _p(p.get("bootstrap")),
        _p(p.get("mcnemar")),
        _p(p.get("holm")) + star,
        *(_percent(gap.get(side)) for side in "ab"),
        *(f"{rankc[side]['corrected']:.3f}" if rankc else "-" for side in "ab"),
    ]


def _percent(share: float | None, sign: str = "") -> str:
    return "-" if share is None else f"{100 * share:{sign}.1f}"


def _interval(bounds: list[float] | None) -> str:
    return f"[{', '.join(_percent(bound, '+') for bound in bounds)}]" if bounds else "-"


def _p(p: float | None) -> str:
    if p is None:
        return "-"
    return f"{p:.3f}" if p >= 0.001 else "<.001"


def _text_tables(comparison: Mapping[str, Any]) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """(title, header, rows) of perplexity and translation, as far as both runs have them."""
    if found := comparison["perplexity"]:
        rows = [
            [
                code,
                f"{figure['tokens']:,}",
                *(f"{figure['perplexity'][side]:.2f}" for side in "ab"),
                f"{figure['ratio']:.3f}",
            ]
            for code, figure in found.items()
        ]
        yield "perplexity", ["language", "tokens", "A", "B", "B/A"], rows
    if found := comparison["translation"]:
        rows = [
            [
                code,
                str(figure["rows"]),
                *_scores(figure["bleu"]),
                _p(figure["holm"]) + (" *" if figure["significant"] else "  "),
                *_scores(figure["chrf"]),
            ]
            for code, figure in found["languages"].items()
        ]
        columns = [[f"{name} A", f"{name} B", "B-A", "p boot"] for name in ("BLEU", "chrF")]
        header = ["language", "rows", *columns[0], "p Holm  ", *columns[1]]
        yield (
            f"translation into {found['target']}; p boot: sacrebleu's paired bootstrap",
            header,
            rows,
        )


def _scores(found: Mapping[str, Any]) -> list[str]:
    return [
        f"{found['a']:.1f}",
        f"{found['b']:.1f}",
        f"{found['difference']:+.1f}",
        _p(found["p"]),
    ]


# Lines.


def _plain(header: list[str], rows: list[list[str]]) -> list[str]:
    """A table on a terminal, without groups."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(
            [f"{first:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(rest, widths[1:], strict=True))]
        ).rstrip()
        for first, *rest in [header, *rows]
    ]


def _columns(rows: list[list[str]], languages: int) -> list[str]:
    """The table on a terminal, with a rule between languages and means."""
    names = [name for _, group in _GROUPS for name in group]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    over, place = [], 0
    for title, group in _GROUPS:
        span = sum(widths[place : place + len(group)]) + 2 * (len(group) - 1)
        over.append(f"{title:^{span}}")
        place += len(group)
    lines = _plain(names, rows)
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [
        "  ".join(over),
        *lines[:1],
        rule,
        *lines[1 : languages + 1],
        rule,
        *lines[languages + 1 :],
    ]
    return [line.rstrip() for line in lines]


def pipes(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table whose first column names the rows and whose others are numbers."""
    aligned = ["---", *["---:"] * (len(titles) - 1)]
    return [f"| {' | '.join(row)} |" for row in [titles, aligned, *rows]]


def _wrapped(text: str, indent: str = "") -> list[str]:
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False
    )
    return [line.replace(_JOINED, " ") for line in lines]


def _legend(method: Mapping[str, Any]) -> str:
    return (
        f"B-A, its {method['confidence']:.0%} interval and p boot: paired bootstrap over rows "
        f"({method['resamples']:,} resamples; for means a row is drawn in all languages at once). "
        "p McN: McNemar's exact test. p Holm: p McN after Holm's correction over the languages of the "
        f"task; * significant: at most {method['alpha']}. Gap to en: points behind English. RankC: "
        "consistency with English (corrected)."
    )


def _title(task: str, found: Mapping[str, Any]) -> str:
    protocol = f", protocol {found['protocol']}" if found["protocol"] else ""
    sizes = sorted({figure["rows"] for figure in found["languages"].values()})
    rows = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return f"{task}{protocol}, {rows} rows a language"


def _notes(found: Mapping[str, Any]) -> list[str]:
    worst = (
        f"{side.upper()} {found['worst'][side]['language']} {_percent(found['worst'][side]['accuracy'])}%"
        for side in "ab"
    )
    partial: dict[tuple[int, int, int], list[str]] = {}
    for code, figure in found["languages"].items():
        sizes = (figure["rows"], figure["rows_a"], figure["rows_b"])
        if len(set(sizes)) > 1:
            partial.setdefault(sizes, []).append(code)
    return [f"worst language: {', '.join(worst)}"] + [
        f"{' '.join(codes)}: {rows} rows are in both runs and count (A has {a}, B has {b})"
        for (rows, a, b), codes in partial.items()
    ]


def _left_out(comparison: Mapping[str, Any]) -> list[str]:
    return [
        f"only in {side[-1].upper()}, left out: {', '.join(names)}"
        for side, names in comparison["left_out"].items()
        if names
    ]


def _mask_summary(comparison: Mapping[str, Any]) -> str:
    found = comparison["masks"]
    if found is None:
        return f"masks: not compared ({comparison['masks_note']})"
    return (
        f"masks: IoU {found['overall']:.3f} of the kept weights ({found['independent']:.3f} if the "
        f"masks were independent); A keeps {found['density']['a']:.1%}, B {found['density']['b']:.1%}"
    )


def _mask_parts(comparison: Mapping[str, Any]) -> list[tuple[str, dict[str, float]]]:
    found = comparison["masks"]
    if found is None:
        return []
    layers = {str(layer): share for layer, share in enumerate(found["layers"])}
    kernels = {
        path.removeprefix("blocks/").removesuffix("/kernel"): share
        for path, share in found["kernels"].items()
    }
    return [("layer", layers), ("kernel", kernels)]
