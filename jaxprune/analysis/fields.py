"""The fields `analysis.*`."""

from collections.abc import Mapping

from jaxprune.analysis.overlap import TOP
from jaxprune.calibration import languages_field
from jaxprune.schema import Field, text

FIELDS: Mapping[str, Field] = {
    "languages": languages_field(
        "codes with commas; not set: all of a folder, of FLORES the paper's (docs/analysis.md)"
    ),
    "top": TOP,
    "masks": text(
        None,
        "workdirs of pruning runs, as runs/fr,runs/sw",
        "workdirs of pruning runs with commas, whose masks are compared",
        optional=True,
    ),
}
