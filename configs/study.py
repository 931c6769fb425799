"""The sweeps of docs/study.md, about ten hours on two cores. The argument is PART,MODEL,DATA.

DATA is the folder that studies/study/make_data.py writes. PART is one of `PARTS`, MODEL a folder or hub id; by default
translation,google/gemma-3-270m,data.

jaxprune sweep --config study:translation,MODEL,DATA --workdir runs/study/translation
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

# By part of the protocol, the settings in which it differs.
PARTS = {
    "translation": {
        "sweep.sparsities": "0.3,0.5",
        "sweep.calibrations": "dense,monolingual,translation,unpaired",
        "sweep.evaluate": "own",
        "evaluation.languages": "fr,ru,zh,sw",
        "sweep.languages": "fr,ru,zh,sw",
    },
    "languages": {
        "sweep.sparsities": "0.5",
        "sweep.calibrations": "dense,monolingual",
        "sweep.languages": "en,fr,ru,zh,sw",
        "sweep.mixtures": "en+fr+ru+zh+sw",
        "evaluation.tasks": "{data}/sentiment.toml",
    },
    "code": {
        "sweep.sparsities": "0.5",
        "sweep.calibrations": "dense,monolingual,translation_vs_code,monolingual_vs_code",
        "sweep.evaluate": "own",
        "sweep.draws": 3,
        "evaluation.tasks": "{data}/xnli.toml",
        "evaluation.languages": "fr,ru",
        "sweep.languages": "fr,ru",
    },
    "highest": {
        "sweep.sparsities": "0.001,0.01",
        "sweep.calibrations": "dense,monolingual",
        "sweep.evaluate": "own",
        "sweep.languages": "fr,ru,zh,sw",
        "pruning.drop": "highest",
        "evaluation.tasks": "{data}/sentiment.toml",
        "evaluation.languages": "fr,ru,zh,sw",
        "evaluation.translation": "{data}/text",
        "evaluation.translation_rows": 100,
    },
    "sparsegpt": {
        "sweep.sparsities": "0.5",
        "sweep.calibrations": "dense,monolingual,translation",
        "sweep.evaluate": "own",
        "evaluation.languages": "fr,ru,zh,sw",
        "sweep.languages": "fr,ru,zh,sw",
        "sweep.draws": 2,
        "pruning.criterion": "sparsegpt",
    },
}


def get_config(argument: str | None = None) -> ConfigDict:
    part, model, data = (argument or "translation,google/gemma-3-270m,data").split(",")
    pick(part, PARTS, "translation")
    config = base_config()
    config.model = model
    config.output.hf = False
    # draws of 389 lines and more; no sample is cut
    config.calibration.data = f"{data}/ntrex"
    config.calibration.samples = 96
    config.calibration.max_length = 1024
    config.calibration.code = f"{data}/code"
    config.sweep.draws = 4
    config.evaluation.tasks = f"{data}/xnli.toml,{data}/sentiment.toml"
    config.evaluation.perplexity = f"{data}/text"
    for path, value in PARTS[part].items():
        filled = value.format(data=data) if isinstance(value, str) else value
        config.update_from_flattened_dict({path: filled})
    return config
