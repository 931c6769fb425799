"""The evaluation of a model, in memory or from a workdir; notebooks show it as tables."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from jaxprune.base.text import NotebookTable, Table
from jaxprune.evaluation.measurements import Measurement, frame
from jaxprune.evaluation.run_tables import evaluation_tables
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY, Perplexity
from jaxprune.evaluation.scoring.scores import Scored
from jaxprune.evaluation.translation.results import TRANSLATION, Translated

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, kw_only=True)
class Part:
    """The evaluation of a task, of plain text or of translations: a folder of a workdir.

    Attributes:
      facts: the content of evaluation.json.
      measurements: the content of measurements.csv.
      rows: the results by language from which the measurements are computed.
    """

    facts: Mapping[str, Any]
    measurements: Sequence[Measurement]
    rows: Mapping[str, Scored | Perplexity | Translated] = dataclasses.field(repr=False)

    def within(self, languages: Collection[str]) -> "Part":
        """The part in these languages alone."""
        return dataclasses.replace(
            self,
            measurements=[row for row in self.measurements if row.language in languages],
            rows={code: rows for code, rows in self.rows.items() if code in languages},
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(NotebookTable):
    """The results of one model, as `jaxprune.evaluate` returns them and workdirs contain them.

    Attributes:
      name: name in tables.
      parts: parts by task, and "perplexity" and "translation"; `parts["xnli"].rows["fr"].scores` are the scores of
        every row.
      about: method, amount and calibration of the run in the workdir, a fact each; empty if unknown.
    """

    name: str
    parts: Mapping[str, Part]
    about: Sequence[str] = ()

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks."""
        return [name for name in self.parts if name not in (PERPLEXITY, TRANSLATION)]

    @property
    def measurements(self) -> list[Measurement]:
        """The measurements of all parts."""
        return [row for part in self.parts.values() for row in part.measurements]

    @property
    def table(self) -> "pandas.DataFrame":
        """A pandas DataFrame with a row for each task and language, and a column for each measure."""
        table = frame(self.measurements, Measurement._fields)
        by_language = table.pivot(index=["task", "language"], columns="measure", values="value")
        measures = dict.fromkeys(row.measure for row in self.measurements)
        order = dict.fromkeys((row.task, row.language) for row in self.measurements)
        return by_language.reindex(index=list(order), columns=list(measures))

    @property
    def tables(self) -> list[Table]:
        """A table of text for each part."""
        facts = {name: part.facts for name, part in self.parts.items()}
        return evaluation_tables(self.measurements, facts)

    def scored(self, task: str) -> Mapping[str, Scored]:
        """The scores of a task by language."""
        return cast(Mapping[str, Scored], self.parts[task].rows)

    @property
    def perplexities(self) -> Mapping[str, Perplexity]:
        """The log-probabilities of the text of each language; empty if perplexity was not evaluated."""
        part = self.parts.get(PERPLEXITY)
        return cast(Mapping[str, Perplexity], part.rows) if part else {}

    def within(self, languages: Collection[str]) -> "Evaluation":
        """The evaluation in these languages alone."""
        parts = {name: part.within(languages) for name, part in self.parts.items()}
        return dataclasses.replace(self, parts=parts)

    def renamed(self, name: str) -> "Evaluation":
        """The evaluation under another name."""
        parts = {
            task: dataclasses.replace(
                part, measurements=[row._replace(run=name) for row in part.measurements]
            )
            for task, part in self.parts.items()
        }
        return dataclasses.replace(self, name=name, parts=parts)

    def _shown(self) -> tuple[str, list[Table]]:
        return f"{self.name}: {', '.join(self.parts)}", self.tables
