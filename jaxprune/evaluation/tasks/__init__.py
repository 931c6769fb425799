"""Task files and their data → questions with the text of every option."""

from jaxprune.evaluation.tasks.data import Source
from jaxprune.evaluation.tasks.prompts import Option
from jaxprune.evaluation.tasks.protocols import PROTOCOLS
from jaxprune.evaluation.tasks.questions import (
    Question,
    TaskQuestions,
    languages_of,
    load_task,
    questions,
)
from jaxprune.evaluation.tasks.task_file import Task

__all__ = [
    "PROTOCOLS",
    "Option",
    "Question",
    "Source",
    "Task",
    "TaskQuestions",
    "languages_of",
    "load_task",
    "questions",
]
