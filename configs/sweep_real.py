"""What calibration does to a real multilingual model: hours on two cores. See docs/sweep.md.

The argument is the model, a folder or hub id, and after a comma a folder with flores/<language>.txt (500 aligned lines)
and xnli/<language>.jsonl; "google/gemma-3-270m,data" by default. Models of code ("coder" in the name) are pruned by the
refined metric too, against Python's standard library in code/. Stopped and started again, it goes on.

python scripts/sweep.py --config configs/sweep_real.py:MODEL,DATA --workdir runs/sweep_real
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config

_CALIBRATIONS = "dense,random,magnitude,monolingual,translation"


def get_config(argument: str | None = None) -> ConfigDict:
    model, _, data = (argument or "google/gemma-3-270m").partition(",")
    data = data or "data"
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
        config.calibration.code = f"{data}/code"
        config.sweep.calibrations = f"{_CALIBRATIONS},translation_vs_code"
    return config
