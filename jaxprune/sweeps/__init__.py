"""A config → many variants of one model, each pruned and evaluated, and the paper's tables of them.

`plan` says which variants there are, `calibration` makes their samples, `run` prunes and evaluates one after the other,
each in a folder as `scripts/prune.py` and `scripts/evaluate.py` would write it. `tables` reads those folders again,
without a model, into the records of `tables_json`; `text`, `write` and `page` show them. `sweep_json` refuses to go on
with another config, and makes the tables of a sweep again.
"""

from jaxprune.sweeps.run import sweep_from_config as sweep_from_config
from jaxprune.sweeps.sweep_json import is_sweep as is_sweep
from jaxprune.sweeps.sweep_json import rebuild as rebuild
from jaxprune.sweeps.write import print_tables as print_tables
