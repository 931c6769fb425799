"""The words of the small world: `concepts` without language, then one table for each language."""
