"""Settings that contradict each other, or that a method or an allocation cannot use, are refused by name."""

import pytest

import jaxprune as jp

REFUSED = [
    ({"allocation": "arithmetic"}, "slope: not set; expected a number between -1 and 1, with allocation arithmetic"),
    ({"slope": 0.1}, "slope: got 0.1; expected none, with allocation uniform"),
    ({"allocation": "arithmetic", "slope": 1.5}, "slope: got 1.5; expected a number between"),
    ({"allocation": "owll"}, r"got 'owll'; expected .*did you mean owl\?"),
    ({"allocation": "owl", "pattern": "2:4"}, "got 'owl'; expected uniform, with pattern 2:4"),
    ({"criterion": "sparsegpt", "group": "kernel"}, "group: got 'kernel'; expected row, with criterion sparsegpt"),
    ({"criterion": "sparsegpt", "drop": "highest"}, "drop: got 'highest'; expected lowest, with criterion sparsegpt"),
    ({"criterion": "sparsegpt", "threshold": "variant"}, "threshold: got 'variant'; expected row, with criterion"),
    ({"criterion": "sparsegpt", "combine": "max"}, "combine: got 'max'; expected mean, sum, weights, with criterion"),
    ({"criterion": "wanda", "start": "ria"}, "start: got 'ria'; expected with criterion dsnot"),
    ({"criterion": "dsnot", "start": "dsnot"}, "start: got 'dsnot'; expected "),
    ({"criterion": "dsnot", "start": "sparsegpt", "group": "kernel"}, "group: got 'kernel'"),
    ({"combine": "weights"}, "weights: got none, with combine weights; expected one weight above 0"),
    ({"weights": "fr:2"}, "weights: got fr:2, with combine sum; expected none, unless combine"),
    ({"combine": "weights", "weights": "fr=2"}, "weights: got 'fr=2'; expected one weight above 0"),
    ({"combine": "weights", "weights": {"fr": 0}}, "weights: got 'fr': 0; expected one weight"),
    ({"combine": "weights", "weights": "fr:1,fr:2"}, "weights: .*; expected one weight above 0 for each"),
    ({"combine": "largest"}, "combine: got 'largest'; expected "),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "message"), REFUSED)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(jp.InputError, match=message):
        jp.Settings(**settings)
