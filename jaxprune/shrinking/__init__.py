"""A model and texts by language → a smaller ordinary model that is the same on these texts."""
