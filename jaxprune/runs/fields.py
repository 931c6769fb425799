"""The fields `output.*`: what a run writes besides masks and report."""

from collections.abc import Mapping

from jaxprune.schema import Field, flag

FIELDS: Mapping[str, Field] = {
    "params": flag(
        False, "all parameters in the checkpoint, for which they must fit into host memory at once"
    ),
    "hf": flag(True, "the pruned model as a Hugging Face folder, written block by block"),
    "card": flag(
        True,
        "a model card in `hf/`, in the place of the model's own README: what was pruned and how; `scripts/report.py` "
        "puts accuracies into it",
    ),
    "figures": flag(False, "pictures of what was dropped and of feature magnitudes"),
}
