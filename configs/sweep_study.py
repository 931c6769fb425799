"""The sweeps of docs/study.md, about twelve hours on two cores. The argument is PART,MODEL,DATA.

DATA is the folder that studies/study/make_data.py writes. PART is one of `PARTS`, MODEL a folder or hub id; by default
translation,google/gemma-3-270m,data.

jaxprune sweep --config sweep_study:translation,MODEL,DATA --workdir runs/study/translation
"""

from itertools import zip_longest
from typing import Any

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

_TEXT = ["fr", "ru", "zh", "sw"]
# The axes of each part that differ from those of all, and its other settings; "{data}" is the folder.
PARTS: dict[str, tuple[dict[str, list[Any]], dict[str, Any]]] = {
    "translation": (
        {
            "pruning.sparsity": [0.3, 0.5],
            "calibration.kind": ["monolingual", "translation", "unpaired"],
        },
        {"evaluation.tasks": "{data}/xnli.toml,{data}/sentiment.toml"},
    ),
    "languages": (
        {"calibration.source": ["en", *_TEXT, ["en", *_TEXT]]},
        {
            "sweep.evaluate": "all", "evaluation.languages": "en,fr,ru,zh,sw",
            "evaluation.tasks": "{data}/sentiment.toml",
        },
    ),
    "code": (
        {
            "pruning.criterion": ["wanda", "refined"],
            "calibration.kind": ["monolingual", "translation_vs_code", "monolingual_vs_code"],
            "calibration.source": ["fr", "ru"], "calibration.draw": ["1/3", "2/3", "3/3"],
        },
        {"evaluation.languages": "fr,ru"},
    ),
    "highest": (
        {"pruning.sparsity": [0.001, 0.01]},
        {
            "pruning.drop": "highest", "evaluation.translation": "{data}/text",
            "evaluation.translation_rows": 100, "evaluation.tasks": "{data}/sentiment.toml",
        },
    ),
    "sparsegpt": (
        {"calibration.kind": ["monolingual", "translation"], "calibration.draw": ["1/2", "2/2"]},
        {"pruning.criterion": "sparsegpt", "output.hf": True},
    ),
}  # fmt: skip
PARTS["owl"] = (PARTS["sparsegpt"][0], PARTS["sparsegpt"][1] | {"pruning.allocation": "owl"})


def get_config(argument: str | None = None) -> ConfigDict:
    given, defaults = (argument or "").split(","), ("translation", "google/gemma-3-270m", "data")
    part, model, data = (one or default for one, default in zip_longest(given, defaults))
    axes, settings = pick(part, PARTS, "translation")
    config = base_config()
    config.model, config.output.hf = model, False
    # draws of 492 lines and more; no sample of text is cut
    config.calibration.data, config.calibration.code = f"{data}/ntrex", f"{data}/code"
    config.calibration.samples, config.calibration.max_length = 96, 1024
    config.evaluation.tasks, config.evaluation.perplexity = f"{data}/xnli.toml", f"{data}/text"
    config.evaluation.languages, config.sweep.evaluate = "fr,ru,zh,sw", "own"
    config.sweep.name = (
        "{calibration.kind}-{calibration.source}-{pruning.sparsity}-draw{calibration.draw}"
    )
    config.sweep.grid = {
        "calibration.kind": ["monolingual"], "calibration.source": _TEXT, "pruning.sparsity": [0.5],
        "calibration.draw": ["1/4", "2/4", "3/4", "4/4"],
    } | axes  # fmt: skip
    for path, value in settings.items():
        filled = value.format(data=data) if isinstance(value, str) else value
        config.update_from_flattened_dict({path: filled})
    return config
