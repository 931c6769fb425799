"""Trains one of the bundled micro-models and evaluates it; about 12 minutes on two idle cores.

python scripts/train_nano.py --architecture xglm --workdir runs/train_nano/xglm
python scripts/train_nano.py --text          # rewrites the data files of jaxprune/nano
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # `nano` is not part of the installed package

from jaxprune.base.ending import errors_in_one_line  # noqa: E402

with errors_in_one_line():
    from absl import app, flags

    from jaxprune.devices.compilation import keep_compiled
    from jaxprune.hf.model import load
    from nano import evaluate, files, train, vocabulary

_ARCHITECTURE = flags.DEFINE_enum(
    "architecture", "xglm", train.ARCHITECTURES, "architecture to train"
)
_WORKDIR = flags.DEFINE_string("workdir", "", "folder for the model")
_SEED = flags.DEFINE_integer("seed", 0, "seed of weights and documents")
_STEPS = flags.DEFINE_integer("steps", train.Recipe.steps, "optimizer steps", lower_bound=1)
_TRAIN = flags.DEFINE_bool(
    "train", True, "train the model; otherwise only evaluate the one in workdir"
)
_TEXT = flags.DEFINE_bool("text", False, "only write the data files of jaxprune/nano")
flags.register_multi_flags_validator(
    ["workdir", "text"],
    lambda values: values["text"] or values["workdir"],
    message="--workdir must have a value, except with --text",
)


def main(argv: list[str]) -> None:
    """Trains, saves and evaluates a model, or writes the data files."""
    del argv
    keep_compiled()
    if _TEXT.value:
        files.write(ROOT / "jaxprune" / "nano")
        return
    folder = Path(_WORKDIR.value)
    if _TRAIN.value:
        recipe = train.Recipe(steps=_STEPS.value, seed=_SEED.value)
        tokenizer = vocabulary.build(_ARCHITECTURE.value)
        config, params = train.train(_ARCHITECTURE.value, recipe, tokenizer)
        train.save(config, params, tokenizer, folder)
    print(evaluate.table(evaluate.figures(load(folder))))


if __name__ == "__main__":
    with errors_in_one_line():
        app.run(main)
