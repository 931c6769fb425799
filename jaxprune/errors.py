"""Errors that are the user's to mend: one line, no traceback."""


class InputError(ValueError):
    """Bad input. The message says in one line where and what is wrong and what would be right."""
