"""A config → many variants of one model, each pruned and evaluated, and the paper's tables of them.

`plan` says which variants there are, `calibration` makes their samples, `run` prunes and evaluates one after the other,
each in a folder as `scripts/prune.py` and `scripts/evaluate.py` would write it. `tables`, `translated` and
`perplexities` read those folders again, without a model, into `records`; `text`, `write` and `page` show them. `kept`
holds a sweep to its config, and makes its tables again.
"""

from jaxprune.sweep.kept import is_sweep, rebuild
from jaxprune.sweep.run import sweep_from_config

__all__ = ["is_sweep", "rebuild", "sweep_from_config"]
