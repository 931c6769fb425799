"""Fields and their values → the checked config of a run, or an error that names the field."""
