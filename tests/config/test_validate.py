import json
import runpy
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from jaxprune.base.errors import InputError
from jaxprune.cli.config.validate import FIELDS, base_config, validate
from jaxprune.steps.planning.checked import consistent

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.py"))


def ready(**fields):
    config = base_config()
    config.model = "owner/name"
    config.update_from_flattened_dict({path.replace("__", "."): v for path, v in fields.items()})
    return config


def test_validate_returns_an_immutable_copy_with_the_sparsity_filled_in():
    config = ready()
    checked = validate(config)
    assert checked.pruning.sparsity == 0.3
    assert checked.json()["pruning"]["sparsity"] == 0.3
    assert config.pruning.sparsity is None
    with pytest.raises(AttributeError):
        checked.seed = 1
    assert consistent(checked) == checked
    assert validate(ready(pruning__sparsity=0.0)).pruning.sparsity == 0.0


def test_json_is_what_ml_collections_writes_of_the_same_fields():
    config = ready(pruning__sparsity=0.25, evaluation__rows=3, output__params=True, mesh__model=2)
    written = validate(config).json()
    given = {name: group for name, group in config.to_dict().items() if name in written}
    in_order = ConfigDict(given).to_json_best_effort()  # of names
    assert json.dumps(written) == in_order
    assert {"pruning", "output", "mesh", "model"} < written.keys()
    assert "evaluation" not in written


@pytest.mark.parametrize(
    ("command", "path", "text", "value", "written"),
    [
        ("prune", "calibration.source", "fr+ru,sw", ("fr", "ru", "sw"), "fr,ru,sw"),
        ("prune", "pruning.ignore", "0/*,*/mlp/down", ("0/*", "*/mlp/down"), "0/*,*/mlp/down"),
        ("evaluate", "evaluation.tasks", "xnli, marc2", ("xnli", "marc2"), "xnli,marc2"),
        ("evaluate", "evaluation.tasks", "", (), ""),
        ("analyze", "analysis.masks", "runs/a,../b", ("runs/a", "../b"), "runs/a,../b"),
        ("shrink", "shrink.vocabulary", "a:0-9,b", ("a:0-9", "b"), "a:0-9,b"),
        ("sweep", "sweep.grid", "seed=0|01", {"seed": (0, 1)}, "seed=0|1"),
    ],
)
def test_a_text_is_a_value_inside_and_a_text_in_config_json(command, path, text, value, written):
    config = ready()
    config.update_from_flattened_dict({path: text})
    checked = validate(config, command)
    group, name = path.split(".")
    assert getattr(getattr(checked, group), name) == value
    assert checked.json()[group][name] == written
    config.update_from_flattened_dict({path: written})
    assert validate(config, command) == checked, "config.json is read as it was written"


@pytest.mark.parametrize(("pattern", "sparsity"), [("2:4", 0.5), ("1:4", 0.75), ("6:8", 0.25)])
def test_a_pattern_implies_the_sparsity(pattern, sparsity):
    assert validate(ready(pruning__pattern=pattern)).pruning.sparsity == sparsity
    agreeing = ready(pruning__pattern=pattern, pruning__sparsity=sparsity)
    assert validate(agreeing).pruning.sparsity == sparsity


BAD_VALUES = [
    ("model", "", "model: got ''; expected a hub id, a local Hugging Face folder or a GGUF file"),
    ("dtype", "bfloat", r"dtype: got 'bfloat'; .*float32, bfloat16 \(did you mean bfloat16\?\)"),
    ("seed", -1, "seed: got -1; expected an integer of at least 0"),
    ("seed", 2**32, "seed: got 4294967296; .*below 4294967296"),
    ("calibration.kind", "code", "calibration.kind: got 'code'; expected translation, "),
    ("calibration.source", "french", "calibration.source: got 'french'"),
    ("calibration.target", "fr", "calibration.target: got 'fr', the source"),
    ("calibration.shots", 0, "calibration.shots: got 0"),
    ("pruning.criterion", "wonda", r"did you mean wanda\?"),
    ("pruning.criterion", "refined", "calibration.kind: .*translation_vs_code or mono.* or tokens"),
    ("pruning.sparsity", 1.0, r"pruning.sparsity: got 1.0; expected a number s with 0 <= s < 1"),
    ("pruning.sparsity", float("nan"), "pruning.sparsity: got nan"),
    ("pruning.pattern", "2:4 ", "pruning.pattern: got '2:4 '"),
    ("mesh.model", 0, "mesh.model: got 0; expected a number of devices that share a block"),
    ("analysis.top", 2.0, r"analysis.top: got 2.0; .*0 < s <= 1"),
    ("evaluation.languages", "fr,fr", "evaluation.languages: got 'fr,fr'; expected "),
    ("evaluation.protocol", "Paper", "evaluation.protocol: got 'Paper'; expected "),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD_VALUES)
def test_bad_values_name_field_value_and_what_is_allowed(path, value, message):
    config = ready()
    config.update_from_flattened_dict({path: value})
    command = {"analysis": "analyze", "evaluation": "evaluate"}.get(path.split(".")[0], "prune")
    with pytest.raises(InputError, match=message):
        validate(config, command)


def test_wrong_types_are_refused_in_a_config_that_does_not_check_them():
    for path, value in (("seed", True), ("calibration.shots", 4.0), ("output.hf", "yes")):
        loose = ready().to_dict()
        group, _, name = path.rpartition(".")
        (loose[group] if group else loose)[name] = value
        with pytest.raises(InputError, match=rf"{path}: got {value!r}"):
            validate(ConfigDict(loose))


def test_fields_that_are_unknown_or_unset():
    extra = ready()
    extra.pruning.sparsty = 0.3
    with pytest.raises(InputError, match=r"pruning.sparsty: no such field; did you mean prun"):
        validate(extra)
    less = ready()
    del less.pruning.drop
    del less.seed
    assert validate(less) == validate(ready()), "the others are defaults"
    with pytest.raises(InputError, match="model: not set; expected a hub id"):
        validate(base_config())


def test_fields_that_contradict_each_other():
    for fields, message in (
        (
            {"pruning__pattern": "2:4", "pruning__sparsity": 0.3},
            "got 0.3; expected 0.5 or none, wi",
        ),
        ({"pruning__pattern": "2:4", "pruning__threshold": "variant"}, "'variant'; expected row"),
        ({"calibration__kind": "translation_vs_code"}, "calibration.code: not set"),
        ({"pruning__allocation": "none.json", "pruning__sparsity": 0.5}, "no file 'none.json'"),
        ({"calibration__combine": "weights", "calibration__weights": "a.json"}, "no file 'a.json'"),
        ({"calibration__kind": "tokens", "calibration__draw": "1/2"}, "'1/2'; expected none, with"),
        (
            {"calibration__kind": "tokens", "calibration__lines": "0-9"},
            "'0-9'; expected none, with",
        ),
    ):
        with pytest.raises(InputError, match=message):
            validate(ready(**fields))


def test_criteria_without_data_ask_for_no_calibration():
    validate(ready(pruning__criterion="random", calibration__kind="translation_vs_code"))
    validate(ready(pruning__criterion="magnitude", calibration__target="fr"))


# Config files


def get_config(name, *argument):
    return runpy.run_path(str(ROOT / "configs" / f"{name}.py"))["get_config"](*argument)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_files_are_short_start_with_a_launch_command_and_are_valid(path):
    text = path.read_text()
    assert len(text.splitlines()) < 60
    docstring = text.split('"""')[1]
    script = {"sweep": "sweep", "frontier": "evaluate"}.get(path.stem.split("_")[0], "prune")
    assert f"jaxprune {script} --config {path.stem}" in docstring
    config = get_config(path.stem, "owner/name") if path.stem == "base" else get_config(path.stem)
    assert validate(config).model


def test_every_allowed_text_is_one_line():
    assert all(field.allowed and "\n" not in field.allowed for field in FIELDS.values())
