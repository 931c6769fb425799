"""The config of an evaluation."""

from jaxprune.base.schema import (
    choice,
    comma_separated,
    config_record,
    integer,
    rule,
    several,
    text,
)
from jaxprune.data.config import SentenceFields
from jaxprune.data.line_range import line_range
from jaxprune.devices.sharding import MeshFields
from jaxprune.evaluation.tasks.protocols import PROTOCOLS
from jaxprune.stats.config import JobConfig

# Whether the weights stay on the devices; None: if they fit.
RESIDENT = {"auto": None, "resident": True, "streamed": False}


@config_record
class EvaluationFields:
    """The fields `evaluation.*`. Languages of tasks and plain text may be codes that `calibration.LANGUAGES` lacks."""

    name: str | None = text(
        None,
        "a name",
        "of the run in tables and comparisons; not set: that of the workdir's folder",
    )
    tasks: tuple[str, ...] = rule(
        "names of ready tasks or .toml files, separated by commas, or nothing",
        lambda value: isinstance(value, str),
        "xnli",
        meaning="ready tasks or `.toml` files, separated by commas (docs/evaluation.md)",
        parse=lambda text: tuple(filter(None, comma_separated(text))),
    )
    languages: tuple[str, ...] | None = several(
        "codes such as fr,de,sw, each once",
        r"\w[\w-]*",
        meaning="codes separated by commas; not set: those of the task",
    )
    protocol: str | None = choice(
        PROTOCOLS, None, "which tokens of an option count; not set: by `compat`"
    )
    rows: int | None = integer(None, 1, "number of rows of each language, from the beginning")
    data: str | None = text(
        None,
        "a folder or pattern of .jsonl or .csv files, or a hub data set id",
        "replaces the task's own data",
    )
    perplexity: str | None = text(
        None, "a folder of <language>.txt or .jsonl, or nano", "plain text for perplexity"
    )
    perplexity_lines: str | None = line_range(
        "only these lines of it, counted from 0, as `300-499`; not set: the first `evaluation.rows`"
    )
    translation: str | None = text(
        None,
        "xnli, nano, a folder or hub data set id of sentences, or nothing",
        "sentences to translate into `calibration.target`",
    )
    translation_rows: int | None = integer(None, 1, "number of sentences of each language")
    weights: str = choice(
        RESIDENT,
        "auto",
        "`resident` on the devices, or `streamed` from disk for each pass; `auto`: resident if they fit",
    )


@config_record
class EvaluateConfig(JobConfig):
    """The config of an evaluation; `calibration` has the demonstrations of translations."""

    calibration: SentenceFields = SentenceFields()
    evaluation: EvaluationFields = EvaluationFields()
    mesh: MeshFields = MeshFields()
