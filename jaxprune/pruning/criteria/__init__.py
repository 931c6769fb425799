"""Criteria: kernels and the norms of their inputs → scores. Each file declares a `Criterion` as CRITERION."""

import sys
from collections.abc import Mapping

from jaxprune.base.discover import discover
from jaxprune.pruning.criterion import Criterion

# In the order of lists: criteria that measure a calibration set first, with the fewest sets before others.
CRITERIA: Mapping[str, Criterion] = {
    criterion.name: criterion
    for criterion in sorted(
        discover(sys.modules[__name__], "CRITERION"),
        key=lambda record: (not record.measures, len(record.measures), record.name),
    )
}
