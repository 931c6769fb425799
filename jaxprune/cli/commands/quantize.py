"""Rounds a model to a grid of llama.cpp, calibrated on languages; writes model.gguf; see docs/guide/quantize.md.

jaxprune quantize --config base:google/gemma-3-270m --config.calibration.data=texts \\
  --config.calibration.kind=monolingual --config.calibration.source=fr,sw --workdir runs/small

--plan estimates memory and operations of a run on this machine. An interrupted run resumes when the command is
repeated. On several hosts, run the same command on each, with --distributed and a shared workdir.
"""

from pathlib import Path

from jaxprune.cli.configured import define_planned, run_or_plan
from jaxprune.pages.job import run_from_config
from jaxprune.steps.configs import QuantizeConfig

define = define_planned


def quantize(config: QuantizeConfig, workdir: Path) -> None:
    """Quantizes `config.model` and writes to `workdir`, or prints the plan of the run."""
    run_or_plan(run_from_config, config, workdir)
