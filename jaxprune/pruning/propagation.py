"""Propagations: sequences of segments of a block and the sites pruned after each."""

import dataclasses
from collections.abc import Mapping

from jaxprune.models.block import SITES
from jaxprune.stats.walk import INPUT, OUTPUT, WHOLE_BLOCK, Segment


@dataclasses.dataclass(frozen=True)
class Step:
    """A segment of a block and the sites whose kernels are pruned after it."""

    segment: Segment
    prunes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Propagation:
    """An order of running and pruning a block, which determines the inputs of the next statistics.

    Attributes:
      name: value of `pruning.propagate`.
      meaning: description for `--help` and the page of settings.
      steps: steps in order.
    """

    name: str
    meaning: str
    steps: tuple[Step, ...]


def _measured(start: int, stop: int, *, advance: bool) -> Segment:
    return Segment(start=start, stop=stop, measures=SITES[start:stop], advance=advance)


_ALL = (
    Propagation(
        "block",
        "outputs of pruned blocks, as in the paper (two passes)",
        (Step(_measured(INPUT, len(SITES), advance=False), SITES), Step(WHOLE_BLOCK)),
    ),
    Propagation(
        "dense",
        "outputs of dense blocks (one pass)",
        (Step(_measured(INPUT, OUTPUT, advance=True), SITES),),
    ),
    Propagation(
        "site",
        "outputs of pruned layers (one pass)",
        (
            *(
                Step(_measured(position, position + 1, advance=True), (site,))
                for position, site in enumerate(SITES)
            ),
            Step(dataclasses.replace(WHOLE_BLOCK, start=len(SITES))),
        ),
    ),
)
PROPAGATIONS: Mapping[str, Propagation] = {propagation.name: propagation for propagation in _ALL}
