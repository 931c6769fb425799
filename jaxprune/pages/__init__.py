"""A finished run → its model card, its page, its summary in the terminal; a config → such a run."""
