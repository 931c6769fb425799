"""Runs whose variants are proposed, by `packing/` one after the other, or listed, by the grid of `sweeps/`."""
