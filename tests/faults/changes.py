"""Rows of the table of faults: a model's files change while a run is under way."""

from faults.fault import Fault

from jaxprune.runs import pipeline


def changing_tokenizer(place):
    """A model whose tokenizer gets a line more before its first block is pruned."""
    model, whole = place.model(), pipeline.prune_blocks

    def prune_blocks(*arguments, **how):
        with (model / "tokenizer.json").open("a") as out:
            out.write("\n")
        return whole(*arguments, **how)

    place.patch.setattr(pipeline, "prune_blocks", prune_blocks)
    return model


ROWS = {
    "the tokenizer changes after the calibration set was made": Fault(
        lambda p: p.prune(model=changing_tokenizer(p)),
        r"model/tokenizer\.json: changed while it was read",
    ),
}
