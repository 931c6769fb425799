"""The small world of the bundled micro-models, its trainer and its data files. Not part of the package."""
