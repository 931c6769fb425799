"""Trains one of the bundled micro-models and scores it: about 12 minutes on two idle cores.

python scripts/train_nano.py --architecture xglm --workdir runs/train_nano/xglm
"""

from pathlib import Path

from absl import app, flags

from jaxprune import cli
from jaxprune.hf import load
from jaxprune.nano import evaluate, train, vocabulary

_ARCHITECTURE = flags.DEFINE_enum(
    "architecture", "xglm", train.ARCHITECTURES, "which architecture to train"
)
_WORKDIR = flags.DEFINE_string("workdir", None, "folder for the model", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "of weights and documents")
_STEPS = flags.DEFINE_integer("steps", train.Recipe.steps, "optimizer steps", lower_bound=1)
_TRAIN = flags.DEFINE_bool("train", True, "no: only score the model that is in workdir")


def main(argv: list[str]) -> None:
    """Trains, saves, scores."""
    del argv
    folder = Path(_WORKDIR.value)
    if _TRAIN.value:
        recipe = train.Recipe(steps=_STEPS.value, seed=_SEED.value)
        tokenizer = vocabulary.build(_ARCHITECTURE.value)
        config, params = train.train(_ARCHITECTURE.value, recipe, tokenizer)
        train.save(config, params, tokenizer, folder)
    print(evaluate.table(evaluate.figures(load(folder))))


if __name__ == "__main__":
    with cli.errors_in_one_line():
        app.run(main)
