"""The fields `calibration.*` of a config and a model → samples, or saved statistics; and what a report says of them."""

from collections.abc import Iterable, Sequence
from typing import Any

from jaxprune.base.files.places import local_path
from jaxprune.base.workdir.reading import read_report
from jaxprune.data.batches import Batch
from jaxprune.data.config import check_all_rows
from jaxprune.data.demonstrations import sampled, sampled_lines
from jaxprune.data.kinds import KINDS
from jaxprune.devices import hosts
from jaxprune.devices.memory import release_freed
from jaxprune.hf.model import Model
from jaxprune.stats.calibration_sets import token_batches
from jaxprune.stats.grouping import grouped
from jaxprune.stats.stats import ActivationStats
from jaxprune.steps.configs import BlocksConfig, MethodConfig, ShrinkConfig
from jaxprune.steps.generated import batches_of, first_texts
from jaxprune.steps.saved_stats import stats_for


def calibration_of(
    config: MethodConfig, model: Model
) -> tuple[list[Batch], ActivationStats | None]:
    """The calibration set of a step, or the saved statistics that it reads instead; neither if it reads no data."""
    settings, place = config.settings, config.calibration.stats
    if not settings.needs_statistics:
        return [], None
    if place is None:
        return calibration_batches(config, model), None
    names = [statistic.name for statistic in settings.statistics]
    return [], stats_for(place, model, config.dtype, names)


def calibration_batches(
    config: BlocksConfig | ShrinkConfig, model: Model, writer: Model | None = None
) -> list[Batch]:
    """The calibration set of `config.calibration`.

    Args:
      model: the model whose tokenizer splits the text.
      writer: the model that writes generated text; by default `model`.
    """
    fields = config.calibration
    kind = KINDS[fields.kind]
    if kind.is_generated:
        return batches_of(model, fields, config.seed, writer=writer, progress=hosts.is_first())
    if not kind.reads_text:
        check_all_rows(fields)
        return token_batches(fields.data, compat=config.compat)
    batches = grouped(sampled(model.tokenizer, fields, config.seed, config.compat))
    model.release_tokenizer()  # nothing else of a step needs it before the end
    release_freed()
    return batches


def calibration_record(
    config: MethodConfig, model: Model, batches: Sequence[Batch]
) -> dict[str, Any]:
    """`text_record` of the samples of a step, or the lines of the run whose statistics it reads."""
    if config.calibration.stats and not batches and config.settings.needs_statistics:
        # a run lists them, a folder of statistics does not
        saved_run = read_report(local_path(config.calibration.stats)) or {}
        return {"calibration_lines": saved_run.get("calibration_lines", [])}
    return text_record(config, model, batches)


def text_record(
    config: BlocksConfig | ShrinkConfig,
    model: Model,
    batches: Sequence[Batch],
    others: Iterable[str] = (),
) -> dict[str, Any]:
    """The part of report.json on the text: digests of its lines, or of generated text the first of each language.

    Args:
      batches: the samples of `config.calibration`; none if it is not read.
      others: digests of other lines that made the model what it is.
    """
    lines = sampled_lines(config.calibration, config.seed, config.compat) if batches else []
    record: dict[str, Any] = {"calibration_lines": sorted({*lines, *others})}
    if batches and KINDS[config.calibration.kind].is_generated:
        record["generated"] = first_texts(model, batches)
    return record
