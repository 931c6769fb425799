"""The config fields `recovery.*`."""

from jaxprune.schema import config_record, integer, is_number, rule, text


@config_record
class RecoveryFields:
    """The fields `recovery.*`."""

    run: str | None = text(
        None, "the workdir of a finished pruning run", "workdir of the pruning run to recover"
    )
    epochs: int = integer(4, 1, "passes over the samples at most, for each block")
    learning_rate: float = rule(
        "a number above 0 and up to 1",
        lambda value: is_number(value) and 0 < value <= 1,
        2e-4,
        kind=float,
        meaning="of AdamW, at its peak; it rises over the first tenth of a block's steps and falls as a cosine to 0",
    )
    batch: int = integer(8, 1, "samples of a step")
    held_out: float = rule(
        "a number s with 0 < s < 1",
        lambda value: is_number(value) and 0 < value < 1,
        0.1,
        kind=float,
        meaning="share of the samples on which the loss decides when a block is done",
    )
