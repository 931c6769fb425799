"""A new model card in the place of the one in a finished run's `hf/`, so that the tables of its files stay true."""

from __future__ import annotations

import os
from pathlib import Path

from jaxprune.files import json_lines, sealed, write_json
from jaxprune.hf import CARD
from jaxprune.ledger import REPORT, Report, RunConfig, digest_of_rest

_TABLE = f"hf/{sealed.TABLE}"


def has_card(workdir: Path, config: RunConfig, report: Report) -> bool:
    """Whether a run wrote a model card, and its hf/ is still there."""
    asked = config.get("output", {}).get("card", False)
    return asked and _TABLE in report.get("files", {}) and (workdir / _TABLE).is_file()


def replace_card(workdir: Path, report: Report, text: str) -> str | None:
    """Puts a card in the place of the one that jaxprune wrote, and what files.json and report.json say of it.

    report.json tells first what card and table will be. A process may be killed at any line after that: then `verify`
    names what is not so yet, and the next call of this one makes the run whole.

    Args:
      workdir: of a run that `has_card`.
      report: what its report.json says, which is as it was written (`check_scored_model`).
      text: of the card.

    Returns:
      Why the card that is there was left; None where the new one is there.
    """
    hf = workdir / "hf"
    if not (os.access(workdir, os.W_OK) and os.access(hf, os.W_OK)):
        return "its folder may not be written"
    table, told, card = sealed.table(hf), report["files"][_TABLE], report.get("card")
    if sealed.fault(hf / sealed.TABLE, (told[0], told[1])):
        if card is None or sealed.text_facts(json_lines({**table, CARD: card})) != (*told,):
            return f"{sealed.TABLE} beside it is not as jaxprune wrote it"
        facts = (card[0], card[1])
        if not sealed.fault(hf / CARD, facts):  # killed between card and table
            table = {**table, CARD: facts}
            sealed.replace_files(hf, {sealed.TABLE: json_lines(table)})
    if CARD not in table or sealed.fault(hf / CARD, table[CARD]):
        return "not as jaxprune wrote it"
    new = {**table, CARD: sealed.text_facts(text)}
    files = {**report["files"], _TABLE: sealed.text_facts(json_lines(new))}
    whole = {**report, "files": files, "card": new[CARD]}
    write_json(workdir / REPORT, {**whole, "sha256": digest_of_rest(whole)})
    sealed.replace_files(hf, {CARD: text, sealed.TABLE: json_lines(new)})
    return None
