"""Prunes a model with a few hundred demonstrations; see README.md for what it writes.

python scripts/prune.py --config configs/nano.py --workdir runs/nano

--plan tells the memory and the operations that a run would need, on this machine or, with --chip, on others.
A run that was interrupted goes on when the same command is given again. On several hosts give the same
command on each, with --distributed and a workdir that all of them see.
"""

from pathlib import Path

from jaxprune.process import starting

with starting():
    from absl import flags
    from ml_collections import ConfigDict

    from jaxprune import cli
    from jaxprune.planning import CHIPS, plan_from_config, print_plan
    from jaxprune.runs import prune_from_config

OVERWRITE = flags.DEFINE_boolean(
    "overwrite",
    False,
    "start afresh where the workdir holds an unfinished run, and replace a complete one",
)
PLAN = flags.DEFINE_boolean(
    "plan", False, "print what the run would need, without loading the model or writing anything"
)
CHIP = flags.DEFINE_string("chip", None, f"plan for these devices: {', '.join(CHIPS)}")
join = cli.process_flags()


def main(config: ConfigDict, workdir: Path) -> None:
    """Prunes `config.model` and writes to `workdir`, or prints what that would need."""
    if PLAN.value:
        processes = flags.FLAGS.processes or 1
        print_plan(config, plan_from_config(config, chip=CHIP.value, processes=processes))
        return
    join()
    prune_from_config(config, workdir, overwrite=OVERWRITE.value)


if __name__ == "__main__":
    cli.run(main)
