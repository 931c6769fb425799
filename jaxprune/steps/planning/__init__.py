"""A config → the estimated memory, operations and time of a run, before anything is loaded."""
