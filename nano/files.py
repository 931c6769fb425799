"""The corpus → the data files of jaxprune/nano: sentences and rows by language."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from nano import corpus
from nano.grammar import LANGUAGES

CALIBRATION_LINES = 997  # as many as FLORES dev has
LINES = 1000  # of held-out sentences, and rows of a task
# Name of a task's split → the corpus's split that its rows are drawn from.
SPLITS = {"test": "held_out", "validation": "train"}

_ROWS: dict[str, Callable[..., Sequence[Any]]] = {
    "nli": corpus.nli_rows,
    "reviews": corpus.review_rows,
}


def write(folder: Path) -> None:
    """Writes every data file; line i means the same in all languages.

    The files are
      `data/<language>.txt`: sentences that the models may have read;
      `translation/<language>.txt`: held-out sentences;
      `perplexity/<language>.jsonl`: the held-out sentences in the form of the models' documents;
      `nli/<split>/<language>.jsonl`, `reviews/<split>/<language>.jsonl`: rows of the tasks.

    Args:
      folder: gets them; files of the same name are replaced.
    """
    for code, name in LANGUAGES.items():
        held_out = corpus.sentences(code, "held_out", LINES)
        calibration = corpus.sentences(code, "train", CALIBRATION_LINES)
        _write(folder / "calibration" / f"{code}.txt", calibration)
        _write(folder / "translation" / f"{code}.txt", held_out)
        # Not plain text: to these tokenizers a line break between two documents is text.
        documents = [{"text": f"{name}: {line}{corpus.EOS}"} for line in held_out]
        _write(folder / "perplexity" / f"{code}.jsonl", map(_json, documents))
        for task, rows in _ROWS.items():
            for split, drawn in SPLITS.items():
                write_rows(folder / task / split / f"{code}.jsonl", rows(code, drawn, LINES))


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Writes rows of a task, named tuples, as a JSON object each."""
    _write(path, (_json(row._asdict()) for row in rows))


def _json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _write(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines)
    path.write_text(text, encoding="utf-8", newline="\n")
