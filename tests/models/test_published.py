"""Published models, by the config.json attributes that the package lists: sizes, tensors and plans, without memory."""

import json
import math
import runpy
from importlib.resources import files
from pathlib import Path

import huggingface_hub
import jax
import jax.numpy as jnp
import pytest
import torch
import transformers
from flax.traverse_util import unflatten_dict

from jaxprune.cli.config.validate import validate
from jaxprune.hf import weights
from jaxprune.hf.tensors import StoredTensor
from jaxprune.hf.weights import Weights, shapes, size
from jaxprune.models.model import forward
from jaxprune.models.published import published
from jaxprune.steps.planning.plan import plan_from_config, print_plan

CONFIGS = Path(__file__).parents[2] / "configs"
READY = [
    path for path in sorted(CONFIGS.glob("*.py")) if "MODELS" in path.read_text(encoding="utf-8")
]
LISTED = json.loads(files("jaxprune.models").joinpath("published.json").read_text(encoding="utf-8"))
# Numbers of parameters from the pages of the models and the safetensors headers of the hub.
PARAMETERS = {
    "facebook/xglm-564M": 564_463_616,
    "facebook/xglm-1.7B": 1_732_907_008,
    "facebook/xglm-2.9B": 2_941_505_536,
    "facebook/xglm-7.5B": 7_492_771_840,
    "bigscience/bloom-560m": 559_214_592,
    "bigscience/bloom-1b1": 1_065_314_304,
    "bigscience/bloom-1b7": 1_722_408_960,
    "bigscience/bloom-3b": 3_002_557_440,
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
    "Qwen/Qwen3-0.6B-Base": 596_049_920,
    "Qwen/Qwen3-4B": 4_022_468_096,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "mistralai/Mistral-7B-v0.3": 7_248_023_552,
    "mistralai/Mistral-Nemo-Base-2407": 12_247_782_400,
    "CohereLabs/aya-expanse-8b": 8_028_033_024,
    "CohereLabs/aya-expanse-32b": 32_296_476_672,
    "CohereLabs/aya-23-35B": 34_980_831_232,
    "CohereLabs/c4ai-command-r7b-12-2024": 8_028_033_024,
}
# One of each family and of each kind of sizes, to compare tensor by tensor.
BY_TENSOR = (
    "facebook/xglm-4.5B", "bigscience/bloom-7b1", "ai-forever/mGPT", "meta-llama/Llama-3.1-8B",
    "Qwen/Qwen2.5-0.5B", "Qwen/Qwen3-0.6B-Base", "google/gemma-3-1b-pt", "google/gemma-3-27b-pt",
    "google/gemma-2-27b", "mistralai/Mistral-Nemo-Base-2407", "HuggingFaceTB/SmolLM3-3B-Base",
    "CohereLabs/aya-expanse-32b", "CohereLabs/c4ai-command-r7b-12-2024", "swiss-ai/Apertus-70B-2509",
)  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_sizes_give_the_published_number_of_parameters(name):
    assert size(published(name)[0]) == PARAMETERS[name]


@pytest.mark.parametrize("name", BY_TENSOR)
def test_every_tensor_of_torch_at_full_size(name, tmp_path, monkeypatch):
    """Names and shapes of transformers' own model, which is built without memory as well; and the shape of logits."""
    config, _ = published(name)
    with torch.device("meta"):
        theirs = transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.for_model(**LISTED[name])
        )
    want = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    if config.tied_head:
        del want["lm_head.weight"]
    dtype, file = jnp.dtype("bfloat16"), Path("full-size")
    headers = {key: StoredTensor(shape, dtype, file, 0) for key, shape in want.items()}
    monkeypatch.setattr(weights, "find_tensors", lambda folder: headers)
    Weights(config, tmp_path)  # checks every name and shape both ways
    assert size(config) == sum(math.prod(shape) for shape in want.values())
    stacked = {
        path: (config.n_layers, *shape) if path.startswith("blocks/") else shape
        for path, shape in shapes(config).items()
    }
    params = {path: jax.ShapeDtypeStruct(shape, dtype) for path, shape in stacked.items()}
    tokens, valid = (jax.ShapeDtypeStruct((2, 7), kind) for kind in (jnp.int32, jnp.bool_))
    logits = jax.eval_shape(
        lambda *given: forward(config, *given), unflatten_dict(params, sep="/"), tokens, valid
    )
    assert (logits.shape, logits.dtype) == ((2, 7, config.vocab_size), jnp.float32)


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_ready_configs_are_planned_without_network(path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise AssertionError("connects")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    ready = runpy.run_path(str(path))
    for name, model in ready["MODELS"].items():
        config = validate(ready["get_config"](name))
        print_plan(config, plan_from_config(config))
        assert f"{model}: {published(model)[0].n_layers} blocks" in capsys.readouterr().out


def test_other_models_are_not_known():
    assert published("bigscience/bloom-7b2") is None
