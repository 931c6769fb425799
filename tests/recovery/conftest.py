"""Tokens on which models are recovered."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def tokens(tmp_path_factory):
    """Ten rows of 20 to 24 tokens."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.npz"
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 131, (10, 24)).astype(np.int32)
    mask = np.arange(24) < rng.integers(20, 25, 10)[:, None]
    np.savez(path, input_ids=ids, attention_mask=mask.astype(np.int32))
    return path
