"""Makes a model small and fast for some languages, and writes model.gguf for llama.cpp.

jaxprune pack --model google/gemma-3-270m --languages fr,sw --text texts --workdir runs/gemma_fr_sw
jaxprune pack --model google/gemma-3-270m --languages fr,sw --text texts --size 0.12GB --workdir runs/gemma_120

Keeps the tokens of the texts and those that the model expects in other texts of the languages, rounds the rest to few
bits, calibrated on the texts, and measures bits per byte on text that it holds out. An interrupted packing goes on when
the command is repeated.
"""

from collections.abc import Sequence

from jaxprune.base.schema import checked, fields_of
from jaxprune.cli.arguments import Arguments, check_folder, output
from jaxprune.cli.configured import prepare_process
from jaxprune.pages.packed_model import print_packed
from jaxprune.search.packing.config import PackConfig
from jaxprune.search.packing.pack import pack_from_config, plan_from_config


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune pack`: packs a model."""
    parser = Arguments(
        program,
        "--model MODEL --languages fr,sw [--text FOLDER] [--heldout FOLDER] [--size 0.15GB | --loss 3%] "
        "[--recover MINUTES] [--plan] --workdir OUT",
        __doc__,
    )
    fields = fields_of(PackConfig)
    for name, field in fields.items():
        parser.add_argument(
            f"--{name}",
            metavar=name.upper(),
            required=field.required,
            help=field.meaning.replace("%", "%%"),
        )
    parser.add_argument(
        "--workdir", metavar="OUT", type=output, required=True, help="folder of the result"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace another packing in the workdir"
    )
    parser.add_argument(
        "--plan", action="store_true", help="print time, memory and disk; writes nothing"
    )
    options = parser.parse_args(arguments)
    check_folder("--workdir", options.workdir)
    values = {name: getattr(options, name) for name in fields}
    set_values = {
        name: fields[name].typed(value) for name, value in values.items() if value is not None
    }
    config = checked(PackConfig, set_values, "--")
    prepare_process()
    if options.plan:
        print(plan_from_config(config, options.workdir, overwrite=options.overwrite))
        return
    record = pack_from_config(config, options.workdir, overwrite=options.overwrite)
    print_packed(record, options.workdir)
