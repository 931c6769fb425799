"""Prune, quantize, recover, shrink: a config and a model → blocks with new values, or a smaller model.

A step (`step.py`) is a config with its job: it reads models and samples (`open`), names all that determines its bits
(`identity`), and yields blocks one after the other (`blocks`), each a `PrunedBlock` with its `FinishedLayer`. Workdirs
are a matter of `runs/`, which gives it a folder, writers and a record to resume from. Its part of report.json is its
own (`report`). For recipes, tuples of steps that no command runs yet, a step can begin with the model of the one before
(`after`), and says which sizes it leaves (`out`).

Shrinking is odd: config, tokenizer and tables are no blocks, so it writes a folder (`write`).
"""

from jaxprune.steps import checkpoint as checkpoint
