"""Statistics of several sets → one statistic. Each file declares a `Combination` as COMBINATION."""

import sys
from collections.abc import Mapping

from jaxprune.base.discover import discover
from jaxprune.stats.combinations.combination import Combination as Combination

COMBINATIONS: Mapping[str, Combination] = {
    combination.name: combination for combination in discover(sys.modules[__name__], "COMBINATION")
}
SUM = COMBINATIONS["sum"]
