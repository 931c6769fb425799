"""The config.json of a trained model reads as the same config here and as the same model in torch."""

import json

import pytest
import transformers
from conftest import TINY

from jaxprune.models.attributes import IRRELEVANT
from jaxprune.models.model import load_config
from nano import to_hf
from nano.train import ARCHITECTURES

NAMES = [name for name, config in TINY.items() if config().model_type in ARCHITECTURES]


@pytest.mark.parametrize("name", NAMES)
def test_the_way_back_is_understood_by_both(name, tmp_path, tiny_folder):
    config = load_config(tiny_folder(name))
    (tmp_path / "config.json").write_text(json.dumps(to_hf.attributes(config)))
    assert load_config(tmp_path) == config
    theirs = transformers.AutoConfig.from_pretrained(tmp_path).to_dict()
    bookkeeping = {"architectures", "dtype", "transformers_version", "_name_or_path"}
    other = {
        key: (value, theirs.get(key))
        for key, value in TINY[name]().to_dict().items()
        if theirs.get(key) != value and key not in IRRELEVANT | bookkeeping
    }
    other.pop("n_inner", None)  # given in full
    assert other == {}
