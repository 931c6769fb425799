"""A config → the questions, texts and sentences that it evaluates, read before any model."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.evaluation.config import EvaluateConfig, EvaluationFields
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY, PlainText, texts
from jaxprune.evaluation.tasks.questions import (
    TaskQuestions,
    check_by_language,
    languages_of,
    load_task,
    questions,
)
from jaxprune.evaluation.translation.bleu import metrics_of
from jaxprune.evaluation.translation.results import TRANSLATION
from jaxprune.evaluation.translation.sentences import Sentences, languages, read_sentences

# The name of a task, PERPLEXITY or TRANSLATION → language codes; None: all available ones.
Languages = Callable[[str], Sequence[str] | None]


@dataclass(frozen=True)
class Workload:
    """The data of an evaluation.

    Attributes:
      tasks: questions of each task.
      texts: plain text by language.
      sentences: sentences to translate by language.
    """

    tasks: Sequence[TaskQuestions]
    texts: Mapping[str, PlainText]
    sentences: Mapping[str, Sentences]

    def of(self, languages: Mapping[str, Sequence[str]]) -> "Workload":
        """The part in these languages, by the folder of their scores."""
        return Workload(
            [t.of(languages[t.task.name]) for t in self.tasks if t.task.name in languages],
            {code: self.texts[code] for code in languages.get(PERPLEXITY, ())},
            {code: self.sentences[code] for code in languages.get(TRANSLATION, ())},
        )


def read_workload(config: EvaluateConfig, languages_by_name: Languages) -> Workload:
    """Reads all data of an evaluation.

    Args:
      config: the tasks, the sources of all data, and the rows of each.
      languages_by_name: name of a task → its languages; None: those of `tasks.languages_of`.

    Raises:
      InputError: nothing to evaluate; a task, language or file that does not exist or is broken; two tasks of one name;
        sacrebleu is not installed.
    """
    fields = config.evaluation
    tasks = _tasks(config, languages_by_name)
    plain: Mapping[str, PlainText] = {}
    if fields.perplexity is not None:
        codes = languages_by_name(PERPLEXITY)
        plain = texts(fields.perplexity, codes, fields.rows, fields.perplexity_lines)
    sentences = {}
    if (data := fields.translation) is not None:
        calibration = config.calibration
        metrics_of(calibration.target)  # fails now, not after hours of work
        for code in languages_by_name(TRANSLATION) or languages(data, calibration.target):
            if code != calibration.target:
                sentences[code] = read_sentences(
                    data, code, calibration, rows=fields.translation_rows, seed=config.seed
                )
        if not sentences:
            raise invalid_value(
                "evaluation.languages",
                ",".join(fields.languages or ()) or None,
                f"a language to translate into {calibration.target}",
            )
    if not (tasks or plain or sentences):
        raise InputError(
            "evaluation.tasks: none; expected tasks, evaluation.perplexity or evaluation.translation"
        )
    return Workload(tasks, plain, sentences)


def protocol_of(fields: EvaluationFields, compat: str) -> str:
    """`evaluation.protocol`; by default the protocol of `compat`."""
    return fields.protocol or ("official" if compat == "official" else "paper")


def _tasks(config: EvaluateConfig, languages_by_name: Languages) -> list[TaskQuestions]:
    data, rows = config.evaluation.data, config.evaluation.rows
    protocol = protocol_of(config.evaluation, config.compat)
    tasks = [load_task(name) for name in config.evaluation.tasks]
    names = [PERPLEXITY, TRANSLATION, *(task.name for task in tasks)]  # of folders
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"evaluation.tasks: {name!r} is there twice; expected each name once")
    read = []
    for task in tasks:
        codes = languages_by_name(task.name) or languages_of(task, protocol=protocol, data=data)
        if data is not None:
            check_by_language(task, codes, protocol=protocol, data=data)
        by_language = {
            code: questions(task, code, protocol=protocol, data=data, rows=rows, seed=config.seed)
            for code in codes
        }
        read.append(TaskQuestions(task, protocol, data or task.source.data, by_language))
    return read
