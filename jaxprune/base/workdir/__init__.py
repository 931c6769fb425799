"""A workdir on disk → its run, whether that is complete, and who may write."""
