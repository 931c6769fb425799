"""Plain text and a pruned model → the number of lines of the text in its calibration set."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from jaxprune.base.errors import InputError
from jaxprune.base.workdir.reading import pruned_digest, read_report
from jaxprune.data.texts import line_digests
from jaxprune.evaluation.scoring.perplexity import PlainText
from jaxprune.hf.model import Model


def calibration_overlap(
    model: Model, texts: Mapping[str, PlainText], workdir: Path | None
) -> dict[str, dict[str, int]]:
    """The key `calibration_overlap` of perplexity's evaluation.json, if a text has lines of the calibration set.

    Args:
      model: the model, from any folder.
      texts: texts by language.
      workdir: searched, unless None, for the model's run, as is the parent of the model's folder.

    Returns:
      {"calibration_overlap": the number of distinct shared lines by language}; empty without any.
    """
    digest, calibrated = model.source.fingerprint.digest, set[str]()
    for place in filter(None, (workdir, model.folder.parent)):
        with contextlib.suppress(InputError, OSError):  # another program's report.json
            report = read_report(place) or {}
            if digest in (report.get("models", {}).get("hf"), pruned_digest(report)):
                calibrated |= {*report.get("calibration_lines", ())}
    shared = {
        code: len(lines)
        for code, text in (texts.items() if calibrated else ())
        if (lines := calibrated.intersection(line_digests(text.lines)))
    }
    return {"calibration_overlap": shared} if shared else {}
