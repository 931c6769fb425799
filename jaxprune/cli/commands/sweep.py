"""Prunes and evaluates one model for every product of a grid of settings; see docs/sweep.md.

jaxprune sweep --config sweep_nano --workdir runs/sweep_nano
jaxprune sweep --config sweep_nano --workdir runs/sweep_nano --plan
jaxprune sweep --config sweep_nano --workdir x --config.sweep.grid="pruning.criterion=wanda|ria seed=0|1"
jaxprune sweep --config sweep_nano --workdir part0 --shard=0/2
jaxprune sweep --merge part0 part1 --workdir runs/sweep_nano

Start the first command on any number of machines that see the workdir: each makes variants that no other one makes. For
machines that share nothing, --shard makes a share of the variants, and --merge joins the workdirs.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from jaxprune.base.errors import register_copy
from jaxprune.cli.arguments import Arguments, output, path
from jaxprune.cli.configured import run_configured
from jaxprune.search.sweeps.config import SweepConfig
from jaxprune.search.sweeps.merge import merge
from jaxprune.search.sweeps.run import print_plan, sweep_from_config
from jaxprune.search.sweeps.write import print_tables

_MERGE = "--merge"


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune sweep`: runs the unfinished variants of the sweep in the workdir and writes its tables."""
    if any(argument.partition("=")[0] == _MERGE for argument in arguments):
        parser = Arguments(program, "--merge PART PART ... --workdir WORKDIR", __doc__)
        parser.add_argument(_MERGE, nargs="+", type=_share, required=True)
        parser.add_argument("--workdir", type=output, required=True)
        options = parser.parse_args(arguments)
        print_tables(merge(options.merge, options.workdir), options.workdir)
    else:
        run_configured(sweep, program, arguments, about=__doc__, define=define, command="sweep")


def _share(text: str) -> Path:
    """The workdir of a share; in a bucket it is not there before the share has started."""
    try:
        return path(text)
    except FileNotFoundError:
        share = Path(text)
        register_copy(share, text)
        return share


def define() -> None:
    """Defines the command's own flags."""
    flags.DEFINE_boolean(
        "plan", False, "print the names of the variants, of all or of a share; writes nothing"
    )
    flags.DEFINE_string(
        "shard",
        None,
        "make a share of the variants and no tables: i/n with i from 0 to n - 1 (n counts as 0), or auto/n for the "
        "number of a task in a Slurm array, of a pod in an indexed Job, or of a SkyPilot node",
    )


def sweep(config: SweepConfig, workdir: Path) -> None:
    """Makes the sweep, or a share of it, and prints its tables; or prints its plan."""
    options = flags.FLAGS
    if options.plan:
        print_plan(config, options.shard)
        return
    if tables := sweep_from_config(config, workdir, shard=options.shard):
        print_tables(tables, workdir)
    elif options.shard is not None:
        print(
            f"share {options.shard} is finished; jaxprune sweep --merge joins the workdirs of all shares"
        )
