"""Shares that the user lists, in a .json file or as a value."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

from jaxprune.base.errors import InputError, invalid_value, listed
from jaxprune.base.files.outside import json_of_file, parse_json
from jaxprune.pruning.allocations.allocation import Allocation, Blocks

NAME = "listed"
ALLOWED = (
    'a .json file of shares by layer, as [0.4, 0.6] or {"0": 0.4, "1": {"attention/out": 0.5, …}}'
)


@dataclasses.dataclass(frozen=True)
class ListedShares:
    """The function `Allocation.shares` of a list; equal lists are equal.

    Attributes:
      text: {layer: share or {kernel: share}} as JSON.
    """

    text: str

    def __call__(self, blocks: Blocks) -> list[float | dict[str, float]]:
        """The listed shares in the order of the layers.

        Raises:
          InputError: a layer has none, or there is no such layer.
        """
        by_layer = json.loads(self.text)
        layers = [str(layer) for layer in range(len(blocks.sizes))]
        if {*by_layer} != {*layers}:
            raise InputError(
                f"allocation: got shares of layers {listed(by_layer)}; expected one of each layer, {listed(layers)}"
            )
        return [by_layer[layer] for layer in layers]


def is_list(value: object) -> bool:
    """Whether a value, or a text, lists shares or is the path of a file that does."""
    if isinstance(value, str):
        return value.endswith(".json") or value.startswith(("[", "{"))
    return isinstance(value, Mapping | Sequence)


def listed_allocation(value: str | Mapping | Sequence) -> Allocation:
    """The allocation of a list: the path of a .json file, JSON text, or its value.

    Raises:
      InputError: the file cannot be read, or is no list; the shares are checked with the model.
    """
    content: object = value
    if isinstance(value, str):
        is_file = value.endswith(".json")
        content = json_of_file(value, "allocation") if is_file else parse_json(value, value)
    if isinstance(content, Sequence) and not isinstance(content, str):
        content = {str(layer): shares for layer, shares in enumerate(content)}
    if not isinstance(content, Mapping):
        raise invalid_value("allocation", value, ALLOWED)
    shares = ListedShares(json.dumps(content, sort_keys=True, default=float))
    return Allocation(NAME, "as listed for each block", shares)


def text_of(allocation: Allocation) -> str | None:
    """The shares of a list as JSON text; None for other allocations."""
    return allocation.shares.text if isinstance(allocation.shares, ListedShares) else None
