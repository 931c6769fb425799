"""The sweeps of docs/study.md, about twelve hours on two cores. The argument is PART,MODEL,DATA.

DATA is what studies/study/make_data.py writes; by default translation,google/gemma-3-270m,data.

jaxprune sweep --config sweep_study:translation,MODEL,DATA --workdir runs/study/translation
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

_TEXT = ["fr", "ru", "zh", "sw"]
# The settings of all parts and of each, axes as lists. Draws have 492 lines and more; no sample of text is cut.
_ALL: dict[str, object] = {
    "calibration.data": "{data}/ntrex", "calibration.code": "{data}/code", "calibration.samples": 96,
    "calibration.max_length": 1024, "evaluation.perplexity": "{data}/text",
    "evaluation.tasks": "{data}/xnli.toml", "evaluation.languages": "fr,ru,zh,sw", "sweep.evaluate": "own",
    "calibration.kind": ["monolingual"], "calibration.source": _TEXT, "pruning.sparsity": [0.5],
    "calibration.draw": ["1/4", "2/4", "3/4", "4/4"],
}  # fmt: skip
NAME = "{calibration.kind}-{calibration.source}-{pruning.sparsity}-draw{calibration.draw}"
PARTS: dict[str, dict[str, object]] = {
    "translation": {
        "pruning.sparsity": [0.3, 0.5], "calibration.kind": ["monolingual", "translation", "unpaired"],
        "evaluation.tasks": "{data}/xnli.toml,{data}/sentiment.toml",
    },
    "languages": {
        "calibration.source": ["en", *_TEXT, ["en", *_TEXT]], "sweep.evaluate": "all",
        "evaluation.languages": "en,fr,ru,zh,sw", "evaluation.tasks": "{data}/sentiment.toml",
    },
    "code": {
        "pruning.criterion": ["wanda", "refined"], "calibration.draw": ["1/3", "2/3", "3/3"],
        "calibration.kind": ["monolingual", "translation_vs_code", "monolingual_vs_code"],
        "calibration.source": ["fr", "ru"], "evaluation.languages": "fr,ru",
    },
    "highest": {
        "pruning.sparsity": [0.001, 0.01], "pruning.drop": "highest", "evaluation.tasks": "{data}/sentiment.toml",
        "evaluation.translation": "{data}/text", "evaluation.translation_rows": 100,
    },
    "sparsegpt": {
        "pruning.criterion": "sparsegpt", "output.hf": True,
        "calibration.kind": ["monolingual", "translation"], "calibration.draw": ["1/2", "2/2"],
    },
}  # fmt: skip
PARTS["owl"] = PARTS["sparsegpt"] | {"pruning.allocation": "owl"}


def get_config(argument: str | None = None) -> ConfigDict:
    given, defaults = (argument or "translation").split(","), ["google/gemma-3-270m", "data"]
    part, model, data = given + defaults[len(given) - 1 :]
    config = base_config()
    config.model, config.output.hf, config.sweep.name = model, False, NAME
    settings = _ALL | pick(part, PARTS, "translation")
    config.sweep.grid = {path: one for path, one in settings.items() if isinstance(one, list)}
    for path in settings.keys() - config.sweep.grid.keys():
        one = settings[path]
        filled = one.format(data=data) if isinstance(one, str) else one
        config.update_from_flattened_dict({path: filled})
    return config
