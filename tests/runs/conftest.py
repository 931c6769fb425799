"""Token ids of the vocabulary of tiny models."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def tokens(tmp_path_factory):
    """A file of samples with pads, and of code."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.npz"
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 131, (5, 24)).astype(np.int32)
    mask = np.arange(24) < rng.integers(8, 25, 5)[:, None]
    code = rng.integers(0, 131, (3, 24)).astype(np.int32)
    np.savez(path, input_ids=ids, attention_mask=mask.astype(np.int32), code_ids=code)
    return path
