"""Folders and marks of the tests that make models of a study again: `pytest -m again`."""

import os

import pytest

FOLDERS = os.environ.get("JAXPRUNE_MODELS")
DATA = os.environ.get("JAXPRUNE_DATA")
MARKS = [
    pytest.mark.again,
    pytest.mark.usefixtures("at_full_speed"),
    pytest.mark.skipif(not FOLDERS, reason="JAXPRUNE_MODELS names no folder of real models"),
    pytest.mark.skipif(not DATA, reason="JAXPRUNE_DATA names no folder of texts"),
]
