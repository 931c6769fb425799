"""Defaults are names: neither a record more nor another order of records changes what runs where nothing is said."""

import json
import os
import subprocess
import sys

import pytest

CRITERION = '''"""Weights times the square of their features' norms."""

from jaxprune.pruning.criteria.wanda import score
from jaxprune.pruning.criterion import DEMONSTRATIONS, Criterion

CRITERION = Criterion("aaa", "as wanda", score, (DEMONSTRATIONS,), ("role",), by_column=True)
'''
AS_IT_IS = ""
# With the criterion of a folder given, which stands before all others.
ADDED = """
import importlib.machinery, sys

class Finder:
    @staticmethod
    def find_spec(name, path, target=None):
        if name == "jaxprune.pruning.criteria":
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            spec.submodule_search_locations.append(sys.argv[1])
            return spec

sys.meta_path.insert(0, Finder)
"""
# With all names to choose from, and all records that files declare, the other way round.
REVERSED = """
from jaxprune.base import discover
from jaxprune.base import schema

choice, records = schema.choice, discover.discover
schema.choice = lambda names, *others, **named: choice(tuple(names)[::-1], *others, **named)
discover.discover = lambda *which: records(*which)[::-1]
"""
DEFAULTS = """
import inspect, json
import jaxprune as jp
from jaxprune.cli.config.record import FIELDS
from jaxprune.cli.config.validate import base_config, validate
from jaxprune.sweeps.variants import variants

config = base_config()
config.model, config.calibration.data, config.calibration.code = "m", "nano", "code"
config.sweep.grid = {"pruning.allocation": ["uniform"], "calibration.kind": ["monolingual", "translation"]}
config = validate(config, "sweep")
print(json.dumps({
    "choices": {path: field.choices for path, field in FIELDS.items() if field.choices},
    "fields": {path: field.default for path, field in FIELDS.items()},
    "prune": {one.name: str(one.default) for one in inspect.signature(jp.prune).parameters.values()},
    "settings": [str(jp.Settings()), jp.Settings().method.name],
    "sweep": {one.name: one.config.pruning.criterion for one in variants(config).made[1:]},
}))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp("criteria")
    (folder / "aaa.py").write_text(CRITERION)
    return {before: defaults(before, folder) for before in (AS_IT_IS, ADDED, REVERSED)}


def defaults(before, folder):
    done = subprocess.run(
        [sys.executable, "-c", before + DEFAULTS, folder],
        capture_output=True, text=True, check=False, env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_criterion_more_is_offered_first_and_changes_no_default(said):
    as_it_is, added = said[AS_IT_IS], said[ADDED]
    first = added.pop("choices")["pruning.criterion"]
    assert first == ["aaa", *as_it_is["choices"]["pruning.criterion"]]
    assert added == {key: value for key, value in as_it_is.items() if key != "choices"}
    assert added["fields"]["pruning.criterion"] == "wanda"
    assert added["prune"]["criterion"] == "wanda"
    assert added["settings"][1] == "wanda"
    assert added["sweep"] == {"uniform-monolingual": "wanda", "uniform-translation": "wanda"}


def test_the_order_of_records_changes_no_default(said):
    as_it_is, turned = said[AS_IT_IS], said[REVERSED]
    choices = turned.pop("choices")
    for path in ("pruning.criterion", "pruning.propagate", "calibration.kind", "sweep.evaluate"):
        assert choices[path] == as_it_is["choices"][path][::-1]
    assert turned == {key: value for key, value in as_it_is.items() if key != "choices"}
