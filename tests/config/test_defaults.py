"""Defaults are names: another order of records does not change what runs where nothing is said."""

import json
import os
import subprocess
import sys

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


def defaults(before):
    done = subprocess.run(
        [sys.executable, "-c", before + DEFAULTS],
        capture_output=True, text=True, check=False, env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_order_of_records_changes_no_default():
    as_it_is, turned = defaults(""), defaults(REVERSED)
    assert as_it_is["fields"]["pruning.criterion"] == as_it_is["prune"]["criterion"] == "wanda"
    assert as_it_is["sweep"] == {"uniform-monolingual": "wanda", "uniform-translation": "wanda"}
    choices = turned.pop("choices")
    for path in ("pruning.criterion", "pruning.propagate", "calibration.kind", "sweep.evaluate"):
        assert choices[path] == as_it_is["choices"][path][::-1]
    assert turned == {key: value for key, value in as_it_is.items() if key != "choices"}
