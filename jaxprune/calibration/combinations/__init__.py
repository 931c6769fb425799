"""Statistics of several sets → what a method sees. A file each, which declares a `Combination` as COMBINATION."""

import sys
from collections.abc import Mapping

from jaxprune.calibration.combinations.combination import Combination as Combination
from jaxprune.declared import declared

COMBINATIONS: Mapping[str, Combination] = {
    one.name: one for one in declared(sys.modules[__name__], "COMBINATION")
}
SUM = COMBINATIONS["sum"]
