"""The paper's tables: in each language of a row, the variant that was calibrated on text of that language."""

from collections.abc import Sequence

from jaxprune.base.text import NONE, Table
from jaxprune.evaluation.comparison import Comparison
from jaxprune.evaluation.views import overview_tables
from jaxprune.sweeps.variants import SOURCE, Variant, axis_text, label_names


def own_tables(
    variants: Sequence[Variant], axes: Sequence[str], comparison: Comparison
) -> list[Table]:
    """A table for each measure; none if the language of the text is no axis.

    Variants that differ only in the language of their text share a row. Those without text, or on several languages,
    have rows of their own.

    Args:
      variants: the dense model first.
      axes: of the grid.
      comparison: of the variants with the dense model.
    """
    if SOURCE not in axes or not variants[1:]:
        return []
    several = any(len(variant.languages) > 1 for variant in variants)
    axes = [path for path in axes if path != SOURCE or several] or [SOURCE]
    codes = dict.fromkeys(row.language for row in comparison.measurements)
    labels, rows = dict[str, list[str]](), dict[tuple[str, str], str]()
    for variant in variants:
        texts = [
            NONE if path == SOURCE and len(variant.languages) == 1 else axis_text(variant, path)
            for path in axes
        ]
        if variant is variants[0]:
            texts[0] = variant.name
        name = " ".join(texts)
        labels[name] = texts
        rows |= {(variant.name, code): name for code in variant.languages or codes}
    measurements = [
        row._replace(run=rows[row.run, row.language])
        for row in comparison.measurements
        if (row.run, row.language) in rows
    ]
    changes = [
        row._replace(run=rows[row.run, row.language])
        for row in comparison.changes
        if (row.run, row.language) in rows
    ]
    tables = overview_tables(labels, measurements, changes, label_names(axes))
    return [
        table._replace(title=f"{table.title}, in the language of the calibration")
        for table in tables
        if table.rows[1:]
    ]
