"""The fields `evaluation.*`. Tasks and plain text are in any language that has a code: it need not be in LANGUAGES."""

from collections.abc import Mapping

from jaxprune.evaluation.tasks import PROTOCOLS
from jaxprune.schema import Field, choice, integer, line_range, names, text

# How long the weights stay on the devices: None where it is decided by whether they fit.
RESIDENT = {"auto": None, "resident": True, "streamed": False}

FIELDS: Mapping[str, Field] = {
    "tasks": Field(
        "names of ready tasks or .toml files with commas between, or nothing",
        lambda value: isinstance(value, str),
        "xnli",
        meaning="ready tasks or `.toml` files with commas (docs/evaluation.md)",
    ),
    "languages": Field(
        "codes such as fr,de,sw, each once",
        lambda value: value is None or names(value),
        meaning="codes with commas; not set: those of the task",
    ),
    "protocol": choice(
        PROTOCOLS, None, "which tokens of an option count; not set: what `compat` says"
    ),
    "rows": integer(None, 1, "the first so many rows of each language"),
    "data": text(
        None,
        "a folder or pattern of .jsonl or .csv files, or a hub data set id",
        "in place of the task's own data",
        optional=True,
    ),
    "perplexity": text(
        None,
        "a folder of <language>.txt or .jsonl, or nano",
        "plain text to measure perplexity on",
        optional=True,
    ),
    "perplexity_lines": line_range(
        "of it only these, counted from 0, as `300-499`; not set: the first `evaluation.rows`"
    ),
    "translation": text(
        None,
        "xnli, nano, or a folder or hub data set id of sentences",
        "sentences to translate into `calibration.target`",
        optional=True,
    ),
    "translation_rows": integer(None, 1, "how many of each language"),
    "beams": integer(1, 1, "of a translation"),
    "weights": choice(
        RESIDENT,
        "auto",
        "`resident` on the devices, or `streamed` from disk for each pass; `auto`: resident where they fit",
    ),
}
