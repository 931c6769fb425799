"""Sparsities × calibrations × languages for one model: what is run, how it is read back, tables 1 to 4 of the paper.

`plan` says which variants there are, `calibration` makes their samples, `run` prunes and evaluates them one after
the other (LRP2 by `steering`), each in a folder as `scripts/prune.py` and `scripts/evaluate.py` would write it.
`tables` and `translated` read those folders again, without a model; `text` and `page` show what they found.
"""

from jaxprune.sweep.run import sweep_from_config

__all__ = ["sweep_from_config"]
