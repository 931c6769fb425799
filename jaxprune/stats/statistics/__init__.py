"""Statistics: features of a site → their sums over tokens. Each file declares a `Statistic` as STATISTIC."""

import sys
from collections.abc import Mapping

from jaxprune.base.discover import discover
from jaxprune.stats.statistics.statistic import RUNNING as RUNNING
from jaxprune.stats.statistics.statistic import SAMPLES as SAMPLES
from jaxprune.stats.statistics.statistic import Statistic as Statistic

STATISTICS: Mapping[str, Statistic] = {
    statistic.name: statistic for statistic in discover(sys.modules[__name__], "STATISTIC")
}
SQUARES, POSITIVE = STATISTICS["squares"], STATISTICS["positive"]
