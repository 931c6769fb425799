"""Rows of the table of faults: tasks, their rows, texts."""

import numpy as np
from faults.fault import Fault, both
from faults.place import GOOD_ROW

from jaxprune.nano import CHECKPOINTS


def rows(says, *lines, fields=()):
    return Fault(lambda p: p.evaluate(p.task(*lines), "evaluation.languages=en", *fields), says)


ROWS = {
    "unknown task": Fault(
        lambda p: p.evaluate("evaluation.tasks=xnly"), r"task: got 'xnly'.*did you mean xnli\?"
    ),
    "no task": Fault(lambda p: p.evaluate("evaluation.tasks="), r"evaluation\.tasks: none; expected tasks, "),
    "task twice": Fault(
        lambda p: p.evaluate("evaluation.tasks=nano_nli,nano_nli"), r"'nano_nli' is there twice"
    ),
    "task of no TOML": Fault(
        lambda p: p.evaluate(f"evaluation.tasks={p.file(b'name =', 'bad.toml')}"), r"bad\.toml: not TOML"
    ),
    "broken row": rows(r"en\.jsonl:2: not JSON", GOOD_ROW, "{\n"),
    "row that is no object": rows(r"en\.jsonl:1: .*JSON object", "[1]\n"),
    "row not UTF-8": rows(r"en\.jsonl:2: byte \d+ is not UTF-8", GOOD_ROW, b"\xff\n"),
    "empty label": rows(r"en\.jsonl:1: label label is empty", '{"text": "a", "label": ""}\n'),
    "unknown label": rows(r"en\.jsonl:1: label label is 7", '{"text": "a", "label": 7}\n'),
    "empty text": rows(r"en\.jsonl:1: text is empty", '{"text": " ", "label": 1}\n'),
    "missing text": rows(r"en\.jsonl:1: no field 'text'", '{"label": 1}\n'),
    "no rows at all": rows(r"rows: language 'en' has no rows"),
    "only a BOM in rows": rows(r"rows: language 'en' has no rows", "\ufeff"),
    "missing language": Fault(
        lambda p: p.evaluate(p.task(GOOD_ROW)), r"rows: no language 'fr'; there are en"
    ),
    "language of no task": Fault(
        lambda p: p.evaluate("evaluation.tasks=nano_nli", "evaluation.languages=zh"), r"'zh'"
    ),
    "rows 0": rows(r"evaluation\.rows: got 0", GOOD_ROW, fields=["evaluation.rows=0"]),
    "options beyond the positions": Fault(
        lambda p: p.evaluate(
            p.task('{"text": "%s", "label": 1}\n' % ("the dog " * 3000)), "evaluation.languages=en",
            model=CHECKPOINTS["gpt2"],
        ),
        r"toy en.*: row 0 option 0 has \d+ tokens; expected \d+",
    ),
    "model of NaN": Fault(
        lambda p: p.evaluate(p.task(GOOD_ROW), "evaluation.languages=en", model=p.with_values(np.nan)),
        r"en: row 0 has the score nan|NaN",
    ),
    "protocol": rows(r"protocol: got 'harness'", GOOD_ROW, fields=["evaluation.protocol=harness"]),
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
    "workdir of other files": Fault(
        lambda p: both(
            (p.workdir / "toy").mkdir(parents=True),
            (p.workdir / "toy" / "thesis.tex").write_text(""),
            p.evaluate(p.task(GOOD_ROW), "evaluation.languages=en"),
        ),
        r"--workdir: .*thesis\.tex exists",
    ),
}  # fmt: skip
