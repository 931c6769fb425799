"""config.json: what is read, what is refused by name, and the way back."""

import json
import shutil

import pytest
import torch
import transformers
from conftest import TINY, tiny_torch
from tokenizers import Tokenizer, models
from transformers_attributes import defaults, known_attributes

import jaxprune as jp
from jaxprune.models.attributes import DEFAULTS, IRRELEVANT, RELEVANT, Attributes
from jaxprune.models.config import RopeConfig
from jaxprune.models.families import FAMILIES
from jaxprune.models.model import load_config


def written(tmp_path, values):
    (tmp_path / "config.json").write_text(json.dumps(values))
    return tmp_path


def tiny(name, **changes):
    return TINY[name]().to_dict() | changes


REFUSED = [
    ("gpt2", "scale_attn_by_inverse_layer_idx", True),
    ("gpt2", "activation_function", "gelu_fast"),
    ("gpt2", "n_head", 5),
    ("xglm", "add_cross_attention", True),
    ("xglm", "attention_heads", 5),
    ("bloom", "n_head", 5),
    ("bloom", "slow_but_exact", True),
    ("llama", "rope_parameters", {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}),
    ("llama", "rope_parameters", {"full_attention": {"rope_type": "default"}}),
    ("llama", "rope_scaling", {"type": "ntk", "factor": 2.0}),
    ("llama", "rope_parameters", {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1]}),
    ("llama", "partial_rotary_factor", 0.5),
    ("llama", "hidden_act", "quick_gelu"),
    ("llama", "num_key_value_heads", 4),
    ("llama", "layer_types", ["sliding_attention"] * 3),
    ("llama", "sliding_window", 8),
    ("llama", "attention_chunk_size", 8),
    ("llama", "is_causal", False),
    ("llama", "text_config", {"vocab_size": 3}),
    ("llama", "per_layer_config", {"0": {"num_key_value_heads": 1}}),
    ("llama", "auto_map", {"AutoModelForCausalLM": "modeling_other.Other"}),
    ("llama", "architectures", ["LlamaForRewardModel"]),
    ("gpt2", "architectures", ["GPT2DoubleHeadsModel"]),
    ("qwen3", "layer_types", ["full_attention", "chunked_attention"]),
    ("qwen3", "layer_types", ["full_attention", "sliding_attention"]),
    ("gpt2", "num_attention_heads", 2),
    ("bloom", "n_embed", 64),
]


@pytest.mark.parametrize(("name", "attribute", "value"), REFUSED)
def test_what_changes_the_mathematics_is_refused_by_name(name, attribute, value, tmp_path):
    raw = tiny(name) | ({"pretraining_tp": 2} if name == "bloom" else {})
    assert raw.get(attribute, "absent") != value
    if attribute.startswith("rope_scaling"):
        raw.pop("rope_parameters")
    named = {"rope_parameters": "rope", "rope_scaling": "rope_type='ntk'"}
    with pytest.raises(jp.InputError) as caught:
        load_config(written(tmp_path, raw | {attribute: value}))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'config.json'}: ")
    assert named.get(attribute, attribute) in message
    assert "\n" not in message


def other_value(value):
    """Of the same kind."""
    if isinstance(value, bool):
        return not value
    return value / 2 + 0.1 if isinstance(value, float) else value + 1


@pytest.mark.parametrize("name", TINY)
def test_attributes_declared_irrelevant_change_no_logits(name):
    """Torch's logits after every one of them has changed that a family's config class has."""
    config = TINY[name]()
    # XGLM's is a row of a table; BLOOM's is read to know whether another attribute matters
    read = {"xglm": {"pad_token_id"}, "bloom": {"pretraining_tp"}}.get(config.model_type, set())
    attributes = attributes_of(config.to_dict())
    FAMILIES[config.model_type].parse(config.model_type, attributes)
    assert attributes._seen & IRRELEVANT == read
    raw = {key: value for key, value in config.to_dict().items() if isinstance(value, int | float)}
    names = IRRELEVANT & set(raw) - read - {"is_encoder_decoder", "return_dict"}
    assert len(names) > 5
    changed = {key: other_value(raw[key]) for key in names}
    assert config_of(config.to_dict() | changed) == config_of(config.to_dict())
    model = tiny_torch(name)
    other = type(model)(type(config)(**config.to_dict() | changed)).eval()
    other.load_state_dict(model.state_dict())
    tokens = torch.arange(40)[None] + 20
    with torch.no_grad():
        got, want = (m(tokens, use_cache=False).logits for m in (other, model))
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


def attributes_of(raw):
    return Attributes(raw, "config.json", raw["model_type"], DEFAULTS[raw["model_type"]])


def config_of(raw):
    return FAMILIES[raw["model_type"]].parse(raw["model_type"], attributes_of(raw))


LINEAR = {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}
STRETCH = {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def test_an_original_length_beside_the_table_of_llama3_is_its_own(tmp_path):
    raw = tiny("llama", original_max_position_embeddings=64)
    raw |= {"rope_parameters": None, "rope_scaling": {"rope_type": "llama3"} | STRETCH}
    rope = load_config(written(tmp_path, raw)).kinds[0].rope
    assert rope == RopeConfig(1e4, 32.0, 1.0, 4.0, 64)


@pytest.mark.parametrize(
    "change",
    [
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_theta": 5e5},
        {"rope_parameters": LINEAR | {"type": "dynamic"}},
        {"rope_parameters": LINEAR, "rope_scaling": LINEAR | {"factor": 3.0}},
    ],
)
def test_rotary_positions_that_are_told_twice(change, tmp_path):
    """transformers takes rope_scaling before rope_parameters, and what is inside before what is beside."""
    raw = tiny("llama")
    assert raw["rope_parameters"] == {"rope_theta": 1e4, "rope_type": "default"}
    with pytest.raises(jp.InputError, match=r"rope.* and .* (disagree|are two spellings)"):
        load_config(written(tmp_path, raw | change))
    raw |= {"rope_scaling": LINEAR, "rope_parameters": LINEAR, "rope_theta": 1e4}
    assert load_config(written(tmp_path, raw)).kinds[0].rope == RopeConfig(1e4, linear_factor=2.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"model_type": "mixtral"},
            "model_type 'mixtral' is not one of apertus, bloom, cohere, ",
        ),
        ({"model_type": None}, "expected a JSON object with model_type"),
        ({"vocab_size": None}, "vocab_size is missing"),
        ({"vocab_size": 0}, "vocab_size is 0, expected 1 or more"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True, expected int"),
        ({"rms_norm_eps": "1e-5"}, "rms_norm_eps is '1e-5', expected float"),
        ({"attention_bias": 1}, "attention_bias is 1, expected bool"),
    ],
)
def test_values_of_the_wrong_kind(change, message, tmp_path):
    with pytest.raises(jp.InputError, match=message) as caught:
        load_config(written(tmp_path, tiny("llama", **change)))
    assert str(tmp_path / "config.json") in str(caught.value)


LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
}  # fmt: skip
DEEP = json.loads("[" * 900 + "]" * 900)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("llama", {"vocab_size": DEEP}, r"vocab_size is \[.*, expected int"),
        ("llama", {"hidden_size": 10**400}, "hidden_size is 10.*, expected less than 2"),
        ("qwen2", {"num_hidden_layers": 2**30, "layer_types": ["full_attention"]}, "layer_types="),
        (
            "qwen2",
            {
                "num_hidden_layers": 2**30,
                "layer_types": None,
                "use_sliding_window": True,
                "sliding_window": 8,
            },
            "num_hidden_layers is 1073741824; with windows in some, at most 10,000",
        ),
        ("llama", {"head_dim": 7}, "head_dim 7 is odd"),
        ("llama", {"rms_norm_eps": float("nan")}, "not JSON: .*invalid character"),
        (
            "bloom",
            {"layer_norm_epsilon": -1},
            "layer_norm_epsilon is -1, expected a number above 0",
        ),
        ("xglm", {"pad_token_id": -1}, "pad_token_id is -1, expected 0 or more"),
        ("llama", {"rope_parameters": {"rope_theta": "1"}}, "rope_theta is '1', expected float"),
        ("llama", {"rope_parameters": LLAMA3 | {"factor": None}}, "rope: factor is missing"),
        (
            "llama",
            {"rope_parameters": LLAMA3 | {"low_freq_factor": 4}},
            "must be below high_freq_f",
        ),
    ],
)
def test_numbers_and_names_that_no_model_has(name, change, message, tmp_path):
    """Found by fuzz.py: errors of many kinds, memory for 2**30 layers, messages without end."""
    with pytest.raises(jp.InputError, match=message) as caught:
        load_config(written(tmp_path, tiny(name, **change)))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a\nb"], r"unsupported attributes: 'a\\nb'"),
        (["\ud800"], r"unsupported attributes: '\\ud800'"),
        (["x" * 3000], "unsupported attributes: 'xxx"),
        (map("x{}".format, range(3000)), "unsupported attributes: x0, x1, .* and 2,988 more$"),
    ],
)
def test_names_as_an_error_shows_them(names, message):
    """Of a type that is not listed, every attribute is refused."""
    with pytest.raises(jp.InputError, match=message) as caught:
        Attributes(dict.fromkeys(names, 1), "config.json", "none").finish()
    assert len(str(caught.value)) < 1000


def save_tokenizer(folder, words):
    core = Tokenizer(models.WordLevel({f"w{i}": i for i in range(words)}, unk_token="w0"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=core, unk_token="w0").save_pretrained(
        folder
    )


@pytest.mark.parametrize(("words", "fits"), [(100, True), (131, True), (132, False)])
def test_a_tokenizer_must_fit_the_vocabulary(words, fits, tmp_path, tiny_folder):
    shutil.copytree(tiny_folder("xglm"), tmp_path, dirs_exist_ok=True)
    save_tokenizer(tmp_path, words)
    model = jp.load(tmp_path)
    if fits:
        assert len(model.tokenizer.get_vocab()) == words
        return
    with pytest.raises(jp.InputError, match=r"the tokenizer has id 131, .*vocab_size 131"):
        _ = model.tokenizer


@pytest.mark.parametrize("name", ["xglm", "llama"])
def test_a_folder_without_tokenizer(name, tiny_folder):
    """transformers makes an empty one up for some families, which would read any text as nothing."""
    model = jp.load(tiny_folder(name))  # opens: only demonstrations need one
    with pytest.raises(jp.InputError, match=r"no tokenizer; expected tokenizer\.json") as caught:
        _ = model.tokenizer
    assert str(tiny_folder(name)) in str(caught.value)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_what_is_missing_is_as_transformers_class_has_it(model_type, tmp_path):
    """An empty config is the class as it stands; a null is an absence."""
    every = transformers.AutoConfig.for_model(model_type).to_dict()
    want = load_config(written(tmp_path, every))
    assert load_config(written(tmp_path, {"model_type": model_type})) == want
    raw = {
        name: value for name, value in every.items() if not isinstance(value, int | float | bool)
    }
    # a null cap is no cap
    nulls = [n for n, v in every.items() if isinstance(v, float | bool) and "softcap" not in n]
    raw |= dict.fromkeys(nulls, None)
    assert load_config(written(tmp_path, raw | {"wobble": None, "is_causal": None})) == want


def test_nulls_that_mean_something(tmp_path):
    """Key heads: absent 32, null as many as heads. XGLM's pad: absent 1, null none."""
    raw = {"model_type": "qwen2", "num_attention_heads": 16, "hidden_size": 64}
    theirs = transformers.Qwen2Config(**raw, num_key_value_heads=None)
    got = load_config(written(tmp_path, raw | {"num_key_value_heads": None}))
    assert got.n_kv_heads == theirs.num_key_value_heads == 16
    with pytest.raises(jp.InputError, match="no multiple of num_key_value_heads 32"):
        load_config(written(tmp_path, raw))
    assert load_config(written(tmp_path, tiny("xglm", pad_token_id=None))).position_zero_row is None


@pytest.mark.parametrize("model_type", FAMILIES)
def test_what_no_model_reads_makes_no_difference(model_type, tmp_path):
    """Settings of generation, and attributes that it does not have, make no difference."""
    generation = transformers.GenerationConfig()._get_default_generation_params()
    raw = {"model_type": model_type, "wobble": 1, "unsloth_version": "1", "_x": [2]} | generation
    assert load_config(written(tmp_path, raw)) == load_config(
        written(tmp_path, {"model_type": model_type})
    )


@pytest.mark.parametrize("model_type", FAMILIES)
def test_what_the_installed_transformers_reads_is_listed(model_type):
    """A name that is not: find out whether it changes logits, then run tests/transformers_attributes.py."""
    listed = {*RELEVANT["all"], *RELEVANT[model_type], *IRRELEVANT}
    assert known_attributes(model_type) | {"head_dim", "per_layer_config"} <= listed


@pytest.mark.parametrize("model_type", FAMILIES)
def test_defaults_are_those_of_the_installed_transformers(model_type):
    assert DEFAULTS[model_type] == defaults(model_type)


def test_attributes_are_found_in_the_source_of_transformers():
    """By way of example: a field, a key of a table, texts, a second name, an attribute of a config."""
    found = known_attributes("gemma3")
    assert {"query_pre_attn_scalar", "beta_fast", "text_config", "text_encoder"} <= found
    assert "num_attention_heads" in known_attributes("gpt2")
    assert "attention_chunk_size" in known_attributes("llama")
    assert not {"to_dict", "wobble", "logit_scale"} & known_attributes("llama")


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ({"load_in_8bit": True, "quant_method": "bitsandbytes"}, "bitsandbytes"),
        ({"bits": 4, "group_size": 64}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_what_is_quantised_is_named(table, kind, tmp_path):
    """In `quantization` by MLX."""
    name = "quantization" if "bits" in table and len(table) == 2 else "quantization_config"
    with pytest.raises(jp.InputError, match=rf"quantised \({kind}\): dequantise first"):
        load_config(written(tmp_path, tiny("llama", **{name: table})))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"rope_scaling": {"type": "linear", "factor": 8.0}},
            "rope_type='default' and type='linear'",
        ),
        (
            {"rope_theta": 2.0, "rope_parameters": {"full_attention": {"rope_theta": 3.0}}},
            "rope_theta=2",
        ),
        (
            {
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
                "rope_parameters": {"full_attention": {"rope_type": "default"}},
            },
            "rope_scaling and full_attention of rope_parameters disagree",
        ),
    ],
)
def test_rotary_positions_by_kind_of_layer_that_disagree(change, message, tmp_path):
    """Gemma 3's older `rope_scaling` needs `rope_type`: transformers takes no `type` there."""
    folder = written(tmp_path, {"model_type": "gemma3_text"} | change)
    with pytest.raises(jp.InputError, match=message):
        load_config(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2},
        {"use_sliding_window": True, "sliding_window": None, "max_window_layers": 0},
        {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0},
        {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
        {
            "use_sliding_window": True,
            "sliding_window": 8,
            "layer_types": ["sliding_attention", "attention"],
        },
        {"use_sliding_window": False, "sliding_window": 8, "max_window_layers": 0},
        {"use_sliding_window": True, "layer_types": ["full_attention"] * 2},
    ],
)
@pytest.mark.parametrize("name", ["qwen2", "qwen3"])
def test_layers_with_windows(name, change, tmp_path):
    raw = {key: value for key, value in tiny(name).items() if key != "layer_types"} | change
    theirs = transformers.AutoConfig.for_model(**raw)
    config = load_config(written(tmp_path, raw))
    want = [theirs.sliding_window if "sliding" in kind else None for kind in theirs.layer_types]
    assert [config.kind(layer).window for layer in range(2)] == want
