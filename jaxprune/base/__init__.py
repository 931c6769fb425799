"""Shared by all rooms, without JAX: errors, rules for values, text, progress, files and workdirs.

Commands, and JAX with them, are imported inside `errors_in_one_line()`, so an import that fails ends with one line
too. `ending.py` alone maps errors to lines and exit codes; it and `cli/main.py` import no JAX.
"""
