"""Sparsities × calibrations × languages for one model: what is run, how it is read back, tables 1 to 4 of the paper.

`plan` says which variants there are, `calibration` makes their samples, `run` prunes and evaluates them one after
the other (`masked`, `steering`), each in a folder as `scripts/prune.py` and `scripts/evaluate.py` would write it.
`tables` and `translated` read those folders again, without a model, into `records`; `text`, `write` and `page` show
them.
"""

from jaxprune.sweep.run import sweep_from_config

__all__ = ["sweep_from_config"]
