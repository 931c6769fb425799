"""A workdir on disk: its run, whether the run is complete, and the locks of its writers."""
