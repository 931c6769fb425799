"""The effect of the calibration language on a real multilingual model; hours on two cores. See docs/sweep.md.

The argument is MODEL,DATA: a model by folder or hub id, and a folder with flores/<language>.txt (500 aligned lines) and
xnli/<language>.jsonl; by default google/gemma-3-270m,data. For models of code ("coder" in the name) the sweep includes
the refined metric, against the Python files in code/.

jaxprune sweep --config sweep_real:MODEL,DATA --workdir runs/sweep_real
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config


def get_config(argument: str | None = None) -> ConfigDict:
    model, _, data = (argument or "google/gemma-3-270m").partition(",")
    data = data or "data"
    config = base_config()
    config.model = model
    config.output.hf = False
    # 75 samples of 4 lines; perplexity is measured on other lines than those of the calibration
    config.calibration.data = config.evaluation.perplexity = f"{data}/flores"
    config.calibration.lines = "0-299"
    config.calibration.samples = 75
    config.evaluation.perplexity_lines = "300-499"
    config.evaluation.data = f"{data}/xnli"
    criteria, kinds = ["random", "magnitude", "wanda"], ["monolingual", "translation"]
    if "coder" in model.lower():
        config.calibration.code = f"{data}/code"
        criteria.append("refined")
        kinds.append("translation_vs_code")
    config.sweep.grid = {
        "pruning.criterion": criteria,
        "calibration.kind": kinds,
        "calibration.source": ["en", "fr", "ru", "zh", "sw", "fr,ru,zh,sw"],
        "pruning.sparsity": [0.3, 0.5],
    }
    config.sweep.evaluate = "own"
    return config
