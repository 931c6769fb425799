"""Queries, keys and values → causal attention, by the first path of `paths.PATHS` that supports it."""
