"""Task files and their data → questions with the text of every option."""

from jaxprune.evaluation.tasks.data import Source as Source
from jaxprune.evaluation.tasks.prompts import Option as Option
from jaxprune.evaluation.tasks.protocols import PROTOCOLS as PROTOCOLS
from jaxprune.evaluation.tasks.questions import Question as Question
from jaxprune.evaluation.tasks.questions import TaskQuestions as TaskQuestions
from jaxprune.evaluation.tasks.questions import check_by_language as check_by_language
from jaxprune.evaluation.tasks.questions import languages_of as languages_of
from jaxprune.evaluation.tasks.questions import load_task as load_task
from jaxprune.evaluation.tasks.questions import questions as questions
from jaxprune.evaluation.tasks.task_file import Task as Task
