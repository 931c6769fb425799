"""The bundled micro-models: needs no network, takes seconds. Argument: xglm (default), bloom, gpt2.

python scripts/prune.py --config configs/nano.py --workdir runs/nano
python scripts/evaluate.py --config configs/nano.py --workdir runs/nano --config.model=runs/nano/hf
"""

from importlib.resources import files

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick
from jaxprune.nano import TRAINED

MODELS = {name: str(files("jaxprune").joinpath("nano", "checkpoints", name)) for name in TRAINED}


def get_config(architecture: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(architecture, MODELS, default="xglm")
    config.calibration.data = "nano"
    config.output.params = True
    config.evaluation.tasks = "nano_nli,nano_reviews"
    return config
