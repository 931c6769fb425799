"""Prune, quantize, recover, shrink: a config and a model → blocks with new values, or a smaller model.

A step (`step.py`) is a config with its job: it reads models and samples (`open`), names all that determines its bits
(`identity`), and yields blocks one after the other (`blocks`), each a `PrunedBlock` with its `FinishedLayer`. Workdirs
are a matter of `runs/`, which gives it a folder, writers and a record to resume from. Its part of report.json is its
own (`report`). A recipe is a tuple of steps, each of which begins with the model of the one before (`after`); they are
checked as a chain (`out`) before anything is read.

Shrinking is odd: config, tokenizer and tables are no blocks, so it writes a folder (`write`).
"""

from jaxprune.steps import checkpoint as checkpoint
