"""Intervals over draws and rows at once: statsmodels' mixed model, coverage, and simple limits."""

import numpy as np
import pytest
from ci_packages import needs
from scipy.special import stdtrit

from jaxprune.evaluation.scoring.mixed_effects import mixed_model


def made(rng, draws, groups, of_draws, of_groups, of_rest, mean=0.0):
    effects = of_draws * rng.normal(size=(draws, 1)) + of_groups * rng.normal(size=(1, groups))
    return mean + effects + of_rest * rng.normal(size=(draws, groups))


def test_the_standard_error_is_that_of_statsmodels():
    """REML with crossed effects as components of one group; the design is balanced."""
    needs("statsmodels")
    from statsmodels import api
    from statsmodels.regression.mixed_linear_model import VCSpec

    rng = np.random.default_rng(1)
    values = made(rng, 5, 12, 1.0, 0.7, 0.5)
    draws, groups = np.indices(values.shape)
    exog = np.ones((values.size, 1))
    names = [[f"d{i}" for i in range(5)], [f"g{i}" for i in range(12)]]
    matrices = [np.eye(5)[draws.ravel()], np.eye(12)[groups.ravel()]]
    spec = VCSpec(["draws", "groups"], [[names[0]], [names[1]]], [[matrices[0]], [matrices[1]]])
    model = api.MixedLM(values.ravel(), exog, groups=np.zeros(values.size), exog_vc=spec)
    fitted = model.fit(reml=True)
    (low, high), _ = mixed_model(values)
    found = (high - low) / 2
    # between the quantiles of D - 1 degrees of freedom and of the normal distribution
    error = fitted.bse_fe[0]
    assert fitted.fe_params[0] == pytest.approx((low + high) / 2)
    assert 1.96 * error < found < stdtrit(4, 0.975) * error


@pytest.mark.parametrize("scales", [(1, 1, 1), (1, 0.2, 1), (0, 1, 1), (0, 0, 1)])
def test_the_interval_holds_the_mean_as_often_as_it_says(scales):
    """In 95% of the data sets, or more if an effect is absent."""
    rng = np.random.default_rng(0)
    held = [
        (low <= 0 <= high, p >= 0.05)
        for (low, high), p in (mixed_model(made(rng, 4, 60, *scales)) for _ in range(2000))
    ]
    assert all(within == not_significant for within, not_significant in held)
    assert 0.935 < np.mean([within for within, _ in held]) < 0.985


@pytest.mark.parametrize("is_of_draws", [False, True])
def test_where_only_draws_or_groups_differ_it_is_students_interval_of_them(is_of_draws):
    one = np.random.default_rng(0).normal(size=7)
    values = np.tile(one, (4, 1))
    (low, high), _ = mixed_model(values.T if is_of_draws else values)
    reach = stdtrit(6, 0.975) * one.std(ddof=1) / 7**0.5
    assert (low, high) == pytest.approx((one.mean() - reach, one.mean() + reach))


def test_one_draw_has_no_interval_over_draws():
    assert mixed_model(np.array([[1.0, 2.0, 3.0]])) is None


def test_equal_values_have_an_interval_of_no_width():
    assert mixed_model(np.full((3, 4), 0.5)) == ((0.5, 0.5), 0.0)
