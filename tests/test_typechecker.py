"""Annotations of the package are checked while tests run."""

import jax.numpy as jnp
import jaxtyping
import pytest

from jaxprune.pruning.criteria.wanda import weighted


@pytest.mark.parametrize("norm", [jnp.ones(4), jnp.ones((3, 1)), jnp.ones(3, jnp.int32)])
def test_another_shape_or_dtype_is_an_error(norm):
    with pytest.raises(jaxtyping.TypeCheckError, match=r"weighted"):
        weighted(jnp.ones((3, 4)), norm)


@pytest.mark.wrong_types
def test_marked_tests_may_hand_over_anything():
    assert weighted(jnp.ones((3, 4)), jnp.ones(3, jnp.int32)).shape == (3, 4)
