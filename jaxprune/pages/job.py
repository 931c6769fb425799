"""The config of a command → a finished workdir with its model card, and a summary in the terminal."""

import time
from pathlib import Path
from typing import Any

from jaxprune.devices import hosts
from jaxprune.pages.card import model_card
from jaxprune.pages.summary import print_summary
from jaxprune.runs.run_step import run_step
from jaxprune.stats.config import JobConfig
from jaxprune.steps.by_config import step_of


def run_from_config(config: JobConfig, workdir: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Prunes, quantizes, recovers or shrinks, or resumes an interrupted run of it; see `run_step`.

    Args:
      config: validated; its type names the step.
    """
    began = time.perf_counter()
    step = step_of(config)
    report = run_step(step, workdir, model_card, began=began, overwrite=overwrite)
    if hosts.is_first():
        print_summary(step.written, report, workdir)
    return report
