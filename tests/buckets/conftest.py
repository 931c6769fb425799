"""The cache of what comes from buckets, empty at the start of a test."""

import tempfile

import pytest

from jaxprune.base.files import places


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The user's cache; this process remembers no bucket before and after."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    places._downloaded.cache_clear()
    yield tmp_path / "cache"
    places._downloaded.cache_clear()


@pytest.fixture(autouse=True)
def copies(tmp_path, monkeypatch):
    """The folder of local copies: some stay after a failure, and the system's may contain the clone."""
    folder = tmp_path / "copies"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder
