"""The config fields `recovery.*`."""

from typing import Any

from jaxprune.base.errors import invalid_value
from jaxprune.base.schema import choice, config_record, integer, is_number, is_text, rule

BLOCK, WINDOW, DISTIL = "block", "window", "distil"

# Blocks of a window, if the config has no number.
BLOCKS = 4


def minutes_field(meaning: str) -> Any:
    """A field of a time in minutes."""
    return rule(
        "a number above 0",
        lambda value: is_number(value) and value > 0,
        kind=float,
        meaning=meaning,
    )


@config_record
class FitFields:
    """The fields `recovery.*` of a fit."""

    epochs: int = integer(4, 1, "passes over the samples at most")
    minutes: float | None = minutes_field(
        "time of the command, instead of `recovery.epochs` and `calibration.samples`: a trial measures the speed, and "
        "as many samples of the text as fit are fitted"
    )
    learning_rate: float = rule(
        "a number above 0 and up to 1",
        lambda value: is_number(value) and 0 < value <= 1,
        1e-3,
        kind=float,
        meaning="of AdamW at its peak, relative to the root mean square of each tensor; it rises over the first tenth "
        "of the steps and falls as a cosine to 0",
    )
    batch: int = integer(8, 1, "samples of a step")
    held_out: float = rule(
        "a number s with 0 < s < 1",
        lambda value: is_number(value) and 0 < value < 1,
        0.1,
        kind=float,
        meaning="share of the samples on which the loss decides when a fit is done",
    )


@config_record
class RecoveryFields(FitFields):
    """The fields `recovery.*`."""

    run: str = rule(
        "the workdir of a finished run of prune, recover or shrink",
        is_text,
        required=True,
        meaning="workdir of the run whose model is recovered",
    )
    how: str = choice(
        (BLOCK, WINDOW, DISTIL),
        BLOCK,
        "block: each block to its dense outputs, one in memory; window: `recovery.blocks` consecutive blocks to the "
        "dense outputs of the last one; distil: all blocks, or `recovery.blocks` at a time, to the dense logits",
    )
    blocks: int | None = integer(
        None,
        1,
        f"consecutive blocks that are fitted together; if not set, {BLOCKS} by window and all by distil",
    )
    stride: int | None = integer(
        None,
        1,
        "blocks from one fit to the next; if not set, half of `recovery.blocks` by window and all by distil",
    )

    def window(self, layers: int) -> tuple[int, int]:
        """The number of blocks that are fitted together, and of those between two fits.

        Args:
          layers: number of all blocks.

        Raises:
          InputError: fields contradict each other.
        """
        if self.how == BLOCK:
            for name in ("blocks", "stride"):
                if (value := getattr(self, name)) is not None:
                    raise invalid_value(
                        f"recovery.{name}", value, f"only with recovery.how={WINDOW} or {DISTIL}"
                    )
            return 1, 1
        if self.how == DISTIL:
            size = self.blocks or layers
            stride = self.stride or size
        else:
            size = self.blocks or BLOCKS
            stride = self.stride or -(-size // 2)
        if stride > size:
            raise invalid_value("recovery.stride", stride, f"1 to {size}, the blocks of a window")
        return size, stride
