"""Rows of the table of faults: tasks, their rows, texts."""

from faults.fault import Fault
from faults.place import GOOD_ROW

from jaxprune.nano import CHECKPOINTS


def rows(says, *lines, fields=()):
    return Fault(lambda p: p.evaluate(p.task(*lines), "evaluation.languages=en", *fields), says)


ROWS = {
    "no task": Fault(lambda p: p.evaluate("evaluation.tasks="), r"evaluation\.tasks: none; expected tasks, "),
    "broken row": rows(r"en\.jsonl:2: not JSON", GOOD_ROW, "{\n"),
    "options beyond the positions": Fault(
        lambda p: p.evaluate(
            p.task('{"text": "%s", "label": 1}\n' % ("the dog " * 3000)), "evaluation.languages=en",
            model=CHECKPOINTS["gpt2"],
        ),
        r"toy en.*: row 0 option 0 has \d+ tokens; expected \d+",
    ),
    "perplexity of no texts": Fault(
        lambda p: p.evaluate("evaluation.tasks=", f"evaluation.perplexity={p.texts()}"),
        r"evaluation\.perplexity: got .*texts",
    ),
    "perplexity of an empty text": Fault(
        lambda p: p.evaluate("evaluation.tasks=", f"evaluation.perplexity={p.texts(en='')}"),
        r"perplexity en: a text of \d tokens",
    ),
    "translation of no texts": Fault(
        lambda p: p.evaluate(
            "evaluation.tasks=", f"evaluation.translation={p.folder / 'nothing'}", "calibration.data=nano"
        ),
        r"evaluation\.translation: no folder '.*nothing'",
    ),
}  # fmt: skip
