"""The evaluation of docs/frontier.md: perplexity on held-out FLORES, and XNLI, in five languages.

The argument is MODEL,DATA: a model by folder or hub id, and a folder with flores_full/<language>.txt (1,012 aligned
lines) and xnli_full/<language>.jsonl, three rows to a premise; by default google/gemma-3-270m,data.

jaxprune evaluate --config frontier:MODEL,DATA --workdir runs/frontier/dense
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config


def get_config(argument: str | None = None) -> ConfigDict:
    model, _, data = (argument or "google/gemma-3-270m").partition(",")
    data = data or "data"
    config = base_config()
    config.model = model
    config.evaluation.languages = "en,fr,ru,zh,sw"
    config.evaluation.perplexity = f"{data}/flores_full"
    config.evaluation.perplexity_lines = "700-1011"
    config.evaluation.tasks = "xnli"
    config.evaluation.data = f"{data}/xnli_full"
    config.evaluation.rows = 300
    return config
