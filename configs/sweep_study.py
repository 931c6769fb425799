"""The sweeps of docs/study.md, about twelve hours on two cores. The argument is PART,MODEL,DATA.

DATA is the folder that studies/study/make_data.py writes. PART is one of `PARTS`, MODEL a folder or hub id; by default
translation,google/gemma-3-270m,data.

jaxprune sweep --config sweep_study:translation,MODEL,DATA --workdir runs/study/translation
"""

from itertools import zip_longest

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

# The settings of each part; "{data}" is the folder.
PARTS: dict[str, dict[str, str | int]] = {
    "translation": {
        "sweep.sparsities": "0.3,0.5",
        "sweep.calibrations": "dense,monolingual,translation,unpaired",
        "evaluation.tasks": "{data}/xnli.toml,{data}/sentiment.toml",
    },
    "languages": {
        "sweep.languages": "en,fr,ru,zh,sw", "sweep.mixtures": "en+fr+ru+zh+sw",
        "sweep.evaluate": "all", "evaluation.languages": "en,fr,ru,zh,sw",
        "evaluation.tasks": "{data}/sentiment.toml",
    },
    "code": {
        "sweep.calibrations": "dense,monolingual,translation_vs_code,monolingual_vs_code",
        "sweep.draws": 3, "sweep.languages": "fr,ru", "evaluation.languages": "fr,ru",
    },
    "highest": {
        "sweep.sparsities": "0.001,0.01", "pruning.drop": "highest",
        "evaluation.translation": "{data}/text", "evaluation.translation_rows": 100,
        "evaluation.tasks": "{data}/sentiment.toml",
    },
    "sparsegpt": {
        "sweep.calibrations": "dense,monolingual,translation",
        "sweep.draws": 2, "pruning.criterion": "sparsegpt", "output.hf": True,
    },
}  # fmt: skip
PARTS["owl"] = PARTS["sparsegpt"] | {"pruning.allocation": "owl"}


def get_config(argument: str | None = None) -> ConfigDict:
    given, defaults = (argument or "").split(","), ("translation", "google/gemma-3-270m", "data")
    part, model, data = (one or default for one, default in zip_longest(given, defaults))
    config = base_config()
    config.model, config.output.hf = model, False
    # draws of 492 lines and more; no sample of text is cut
    config.calibration.data, config.calibration.code = f"{data}/ntrex", f"{data}/code"
    config.calibration.samples, config.calibration.max_length = 96, 1024
    config.evaluation.tasks, config.evaluation.perplexity = f"{data}/xnli.toml", f"{data}/text"
    config.sweep.languages = config.evaluation.languages = "fr,ru,zh,sw"
    config.sweep.sparsities, config.sweep.calibrations = "0.5", "dense,monolingual"
    config.sweep.draws, config.sweep.evaluate = 4, "own"
    for path, value in pick(part, PARTS, "translation").items():
        filled = value.format(data=data) if isinstance(value, str) else value
        config.update_from_flattened_dict({path: filled})
    return config
