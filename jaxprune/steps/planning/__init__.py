"""A config → the estimated memory, operations and time of a run, before anything is loaded.

`costs.py` has formulas of memory and operations; tests compare them with XLA's allocations and the memory of a
process. `chips.py` has the machines that plans may be made for.
"""
