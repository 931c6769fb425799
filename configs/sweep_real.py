"""What calibration does to a real multilingual model, on a machine without an accelerator: hours. See docs/sweep.md.

The argument is the model, a folder or hub id, and after a comma a folder of data with flores/<language>.txt (500 lines,
aligned) and xnli/<language>.jsonl. Models of code ("coder" in their name) get the refined metric too, against Python's
standard library. Stopped and started again, it goes on; relative names keep where it ran out of what is written.

python scripts/sweep.py --config configs/sweep_real.py:MODEL,DATA --workdir runs/sweep_real
"""

import sysconfig

from ml_collections import ConfigDict

from jaxprune.config import base_config
from jaxprune.errors import refusal

_CALIBRATIONS = "dense,random,magnitude,monolingual,translation"


def get_config(argument: str | None = None) -> ConfigDict:
    model, _, data = (argument or "").partition(",")
    if not model or not data:
        raise refusal("config argument", argument, "MODEL,DATA as in models/gemma3-270m,data")
    config = base_config()
    config.model = model
    config.output.hf = False
    # 75 samples of 4 lines; what is calibrated on is not what perplexity is measured on
    config.calibration.data = config.evaluation.perplexity = f"{data}/flores"
    config.calibration.lines = "0-299"
    config.calibration.samples = 75
    config.evaluation.perplexity_lines = "300-499"
    config.evaluation.data = f"{data}/xnli"
    config.sweep.sparsities = "0.3,0.5"
    config.sweep.languages = "en,fr,ru,zh,sw"
    config.sweep.mixtures = "fr+ru+zh+sw"
    config.sweep.evaluate = "own"
    config.sweep.calibrations = _CALIBRATIONS
    if "coder" in model.lower():
        config.calibration.code = sysconfig.get_path("stdlib")
        config.sweep.calibrations = f"{_CALIBRATIONS},translation_vs_code"
    return config
