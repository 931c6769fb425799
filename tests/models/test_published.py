"""Sizes of published models against the numbers of parameters that their pages give, and plans without network."""

import runpy
from pathlib import Path

import huggingface_hub
import pytest

from jaxprune.cli.config.validate import validate
from jaxprune.hf.weights import size
from jaxprune.models.published import published
from jaxprune.runs.planning.plan import plan_from_config, print_plan

CONFIGS = Path(__file__).parents[2] / "configs"
READY = [
    path for path in sorted(CONFIGS.glob("*.py")) if "MODELS" in path.read_text(encoding="utf-8")
]
# From the pages of the models.
PARAMETERS = {
    "facebook/xglm-564M": 564_463_616,
    "facebook/xglm-7.5B": 7_492_771_840,
    "bigscience/bloom-560m": 559_214_592,
    "bigscience/bloom-1b1": 1_065_314_304,
    "bigscience/bloom-7b1": 7_069_016_064,
    "google/gemma-2-2b": 2_614_341_888,
    "google/gemma-2-9b": 9_241_705_984,
    "google/gemma-2-27b": 27_227_128_320,
    "google/gemma-3-270m": 268_098_176,
    "google/gemma-3-1b-pt": 999_885_952,
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "meta-llama/Llama-3.2-3B": 3_212_749_824,
    "meta-llama/Llama-3.1-8B": 8_030_261_248,
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "HuggingFaceTB/SmolLM3-3B": 3_075_098_624,
    "Qwen/Qwen2.5-0.5B": 494_032_768,
    "Qwen/Qwen2.5-1.5B": 1_543_714_304,
    "Qwen/Qwen2.5-3B": 3_085_938_688,
    "Qwen/Qwen2.5-7B": 7_615_616_512,
    "Qwen/Qwen3-4B": 4_022_468_096,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "mistralai/Mistral-7B-v0.3": 7_248_023_552,
    "mistralai/Mistral-Nemo-Base-2407": 12_247_782_400,
    "CohereLabs/aya-expanse-8b": 8_028_033_024,
    "CohereLabs/aya-expanse-32b": 32_296_476_672,
    "CohereLabs/aya-23-35B": 34_980_831_232,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_sizes_give_the_published_number_of_parameters(name):
    assert size(published(name)[0]) == PARAMETERS[name]


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_ready_configs_are_planned_without_network(path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise AssertionError("connects")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    ready = runpy.run_path(str(path))
    for name, model in ready["MODELS"].items():
        assert published(model), model
        config = validate(ready["get_config"](name))
        print_plan(config, plan_from_config(config))
        assert f"{model}: {published(model)[0].n_layers} blocks" in capsys.readouterr().out


def test_other_models_are_not_known():
    assert published("bigscience/bloom-7b2") is None
