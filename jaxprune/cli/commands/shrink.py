"""Makes a model smaller for some languages; writes a workdir with the smaller model; see docs/guide/shrink.md.

jaxprune shrink --config base:google/gemma-3-270m --config.shrink.vocabulary=texts --workdir runs/small

`texts` is a folder of `<language>.txt` or `.jsonl`. The model keeps the tokens of these texts, so it splits and reads
them as before.
"""

from pathlib import Path

from absl import flags

from jaxprune.cli.configured import define_overwrite, define_plan
from jaxprune.pages.job import run_from_config
from jaxprune.steps.configs import ShrinkConfig
from jaxprune.steps.planning.smaller import show_shrink_plan


def define() -> None:
    """Defines the command's own flags."""
    define_overwrite("replace a complete run in the workdir")
    define_plan(
        "print the sizes of the smaller model, memory and operations; loads no weights and writes nothing"
    )


def shrink(config: ShrinkConfig, workdir: Path) -> None:
    """Makes the smaller model and writes to `workdir`, or prints the plan."""
    if flags.FLAGS.plan:
        show_shrink_plan(config)
        return
    run_from_config(config, workdir, overwrite=flags.FLAGS.overwrite)
