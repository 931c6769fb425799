"""Rounds a model to a grid of llama.cpp, calibrated on languages; writes model.gguf; see docs/guide/quantize.md.

jaxprune quantize --config base:google/gemma-3-270m --config.calibration.data=texts \\
  --config.calibration.kind=monolingual --config.calibration.source=fr,sw --workdir runs/small

--plan estimates memory and operations of a run on this machine. An interrupted run resumes when the command is
repeated. On several hosts, run the same command on each, with --distributed and a shared workdir.
"""

from pathlib import Path

from absl import flags

from jaxprune.cli.configured import define_overwrite, define_plan, define_processes, join_processes
from jaxprune.runs.planning.config import QuantizeConfig
from jaxprune.runs.planning.plan import plan_from_config, print_plan
from jaxprune.runs.quantize import quantize_from_config


def define() -> None:
    """Defines the command's own flags."""
    define_overwrite()
    define_plan("print the estimated memory and operations; loads no weights and writes nothing")
    define_processes()


def quantize(config: QuantizeConfig, workdir: Path) -> None:
    """Quantizes `config.model` and writes to `workdir`, or prints the plan of the run."""
    options = flags.FLAGS
    if options.plan:
        print_plan(config, plan_from_config(config, options.processes or 1))
        return
    join_processes()
    quantize_from_config(config, workdir, overwrite=options.overwrite)
