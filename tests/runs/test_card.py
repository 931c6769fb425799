"""The model card of a run: front matter that the hub's client reads, nothing claimed that is not known."""

import re
import shutil

import huggingface_hub
import numpy as np
import pytest
import transformers
from absl import flags
from huggingface_hub import ModelCard
from jobs import job
from safetensors.numpy import load_file

import jaxprune as jp
from jaxprune.cli.configured import parse
from jaxprune.hf.model import load
from jaxprune.hf.origin import origin_of
from jaxprune.nano import CHECKPOINTS
from jaxprune.pages.card import Measured, model_card
from jaxprune.pages.facts import commands
from jaxprune.pages.job import run_from_config

README = """---
license: gemma
license_name: 'its "terms": all'
license_link: https://example.org/terms
language: [no, fr, zh-Hant, 7, "a b"]
base_model: owner/parent
tags: [conversational]
extra_gated_prompt: pay
---
# Dense model
The best there is.
"""


@pytest.fixture
def folder(tmp_path):
    """A model with a card of its own."""
    shutil.copytree(CHECKPOINTS["bloom"], tmp_path / "private" / "mine")
    (tmp_path / "private" / "mine" / "README.md").write_text(README)
    (tmp_path / "private" / "mine" / "LICENSE").write_text("terms")
    return tmp_path / "private" / "mine"


def config_of(**fields):
    return job(CHECKPOINTS["bloom"], **{"calibration__data": "nano", **fields}).json()


REPORT = {
    "origin": {"name": "owner/dense", "base_model": ["owner/dense"], "has_tokenizer": True},
    "sparsity": {"overall": 0.2975, "layers": [0.2975], "kernels": {"mlp/up/kernel": 0.2969}},
    "tokens": {"translation": 8874},
    "digests": {"masks": "ab" * 32},
    "environment": {"jaxprune": "0.1.0", "jax": "0.9", "devices": "8 x secret"},
}


def card_of(config, measured=None, **origin):
    """The card, read as the hub's client reads it."""
    report = {**REPORT, "origin": {**REPORT["origin"], **origin}}
    return ModelCard(model_card(config, report, measured))


def test_a_run_writes_a_card_in_place_of_the_models_own(folder, tmp_path):
    config = job(folder, pruning__criterion="magnitude", pruning__pattern="2:4")
    run_from_config(config, tmp_path / "run")
    hf = tmp_path / "run" / "hf"
    card = ModelCard.load(hf / "README.md")
    assert card.data.to_dict() == {
        "base_model": "owner/parent",
        "base_model_relation": "finetune",
        "language": ["no", "fr", "zh-Hant"],
        "library_name": "transformers",
        "license": "gemma",
        "license_name": 'its "terms": all',
        "license_link": "https://example.org/terms",
        "pipeline_tag": "text-generation",
        "tags": ["jaxprune", "pruned", "sparse", "magnitude", "2:4"],
    }
    assert "The best there is" not in card.text
    assert "`mine`, a local folder whose card names `owner/parent` as its base model," in card.text
    assert str(tmp_path) not in card.content
    assert "private" not in card.content
    assert (hf / "LICENSE").read_text() == "terms"
    # what it says of the zeros is so
    zeros = whole = 0
    for file in hf.glob("*.safetensors"):
        for name, tensor in load_file(file).items():
            if tensor.ndim == 2 and ".h." in name:
                zeros, whole = zeros + np.sum(tensor == 0), whole + tensor.size
    assert f"with {100 * zeros / whole:.1f}% of the weights" in card.text
    assert re.search(rf"\| all \| {100 * zeros / whole:.1f} \|", card.text)
    weights = [load_file(file) for file in hf.glob("*.safetensors")]
    size = sum(tensor.size for tensors in weights for tensor in tensors.values())
    assert f", {100 * zeros / size:.1f}% of all parameters, set to zero." in card.text
    # the command in it, for a folder instead of its name, is that of this run
    [command] = re.findall(r"- command: `(jaxprune prune .*)`", card.text)
    words = command.replace("--config.model=mine", f"--config.model={folder}").split()[2:]
    again, workdir = parse(["prune", *words], flags.FlagValues())
    assert (again.json(), str(workdir)) == (config.json(), "RUN")
    # the program in it loads the folder
    [program] = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    names = {}
    exec(program.replace('"."', repr(str(hf))), names)
    assert isinstance(names["model"], transformers.BloomForCausalLM)
    assert names["tokenizer"]("a").input_ids


def test_no_card_leaves_the_models_own(folder, tmp_path):
    (folder / "pytorch_model.bin").write_bytes(b"a second copy, which is not read")
    config = job(folder, pruning__criterion="magnitude", output__card=False)
    report = run_from_config(config, tmp_path / "run")
    assert report["weight_bytes"]["dense"] == (folder / "model.safetensors").stat().st_size
    assert (tmp_path / "run" / "hf" / "README.md").read_text() == README


def test_the_base_model_is_the_one_that_the_hub_gave(folder, tmp_path, monkeypatch):
    kept = tmp_path / "hub" / "models--owner--a-b.c" / "snapshots" / "0123"
    shutil.copytree(folder, kept)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(kept))
    for name in ("owner/a-b.c", str(kept)):
        origin = origin_of(load(name), name)
        assert (origin["name"], origin["base_model"]) == ("owner/a-b.c", ["owner/a-b.c"])
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(folder))
    assert origin_of(load("gpt2"), "gpt2")["base_model"] == ["gpt2"]
    assert "base_model" not in origin_of(load("nano/bloom"), "nano/bloom")


@pytest.mark.parametrize(
    "text",
    [
        "no front matter", "---\n- a list\n---\n", "---\na: [\n---\n", "---\n" + "[" * 5000 + "\n---\n",
        "---\nlicense: [2, {a: b}]\nbase_model: ../../etc\nlanguage: {fr: 1}\n---\n", "\xff\x00",
        '---\nlicense_name: "two\\nlines"\n---\n', "---\na: *nothing\n---\n", "---\na: 2000-99-99\n---\n",
    ],
)  # fmt: skip
def test_a_card_that_cannot_be_read_says_nothing(text, folder):
    (folder / "README.md").write_bytes(text.encode("latin-1"))
    assert origin_of(load(folder), str(folder)) == {"name": "mine", "has_tokenizer": True}


def test_what_is_not_known_is_not_in_it():
    report = {**REPORT, "origin": {"name": "mine"}}
    card = ModelCard(model_card(config_of(pruning__criterion="random"), report))
    assert set(card.data.to_dict()) == {"library_name", "pipeline_tag", "tags"}
    assert "AutoTokenizer" not in card.text
    assert "none, the criterion needs no data" in card.text
    assert "a local folder without a known hub id" in card.text
    assert "Not evaluated yet." in card.text
    assert "whose card does not name it" in card.text


# Fields of a config, what its report has beside REPORT, and what the card says of them.
TOLD = [
    (
        {"calibration__source": "sw", "pruning__sparsity": 0.5, "dtype": "bfloat16"},
        {},
        [
            "\n# dense, pruned (wanda, 50%)\n",
            "language:\n- sw\n- en\n",  # the dense model's card does not say any
            "[owner/dense](https://huggingface.co/owner/dense) with 29.8% of the weights",
            "- pruning.criterion: wanda: size of the weight times the norm of its input\n",
            "- pruning.propagate: block: outputs of pruned blocks",
            "- calibration.kind: translation: sentences and their translations",
            "- tokens: 8,874 (translation)\n",
            "- versions: jaxprune 0.1.0, jax 0.9\n",
            "| `mlp/up` | 29.7 |\n",
            "https://arxiv.org/abs/2409.16911",
        ],
    ),
    (
        {
            "pruning__criterion": "dsnot", "pruning__start": "sparsegpt",
            "calibration__source": "fr,sw", "calibration__tokens": "target",
            "calibration__combine": "weights", "calibration__weights": "fr:2,sw:1",
        },
        {"damping": {"3": {"mlp_out": 0.1}}},
        [
            "- pruning.start: sparsegpt\n",
            "- calibration.tokens: target\n",
            "- calibration.combine: weights: each language has its weight in \\`calibration.weights\\`",
            "- calibration.weights: fr:2.0,sw:1.0\n",
            "- damping of Gram matrices raised: layer 3 mlp_out: 0.1\n",
        ],
    ),
    (
        {"calibration__stats": "runs/private/fr", "pruning__propagate": "dense"},
        {"languages": {"monolingual": {"fr": 9, "sw": 8}}},
        [
            "- calibration.stats: fr\n",
            "- languages: monolingual (fr, sw)\n",
            "language:\n- fr\n- sw\n",
        ],
    ),
]  # fmt: skip
NOT_TOLD = ("secret", "private", "pruning.group")  # a group that is the default


@pytest.mark.parametrize(("fields", "found", "told"), TOLD, ids=("texts", "choices", "statistics"))
def test_how_it_was_pruned_is_told(fields, found, told):
    card = model_card(config_of(**fields), REPORT | found)
    assert [line for line in told if line not in card] == []
    assert [name for name in NOT_TOLD if name in card] == []
    assert ("calibration.source" in card) == ("calibration__stats" not in fields)


def test_another_group_than_the_default_is_told():
    assert "- pruning.group: kernel\n" in card_of(config_of(pruning__group="kernel")).text


def test_gram_matrices_of_few_tokens_are_told():
    config = config_of(pruning__criterion="sparsegpt")
    for tokens, said in ((1023, True), (1024, False)):
        report = REPORT | {"gram_width": 1024, "tokens": {"translation": tokens}}
        card = model_card(config, report)
        assert ("fewer than the widest layer has inputs (1,024)" in card) is said


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("openlanguagedata/flores_plus", "openlanguagedata/flores_plus"),
        ("/home/me/texts/flores", "flores"),
        ("../me/flores", "flores"),
    ],
)
def test_of_a_path_only_the_last_part_is_told(data, told):
    config = config_of()
    config["calibration"]["data"] = data
    assert f"- calibration.data: {told}\n" in card_of(config).text


def test_names_from_outside_are_text():
    hostile = "a|b`<script>*\n---\nlicense: mit"
    measured = Measured(accuracy={hostile: {"fr": 0.5}})
    origin = {"name": hostile, "base_model": [], "license": "other", "license_name": hostile}
    card = card_of(config_of(), measured, **origin)
    assert card.data.license == "other"
    assert card.data.license_name == hostile
    assert card.data.eval_results[0].dataset_name == hostile
    title = card.text.strip().splitlines()[0]
    assert title.startswith(r"# a\|b\`\<script\>\*\\n---\\nlicense: mit, pruned")
    assert "`a|b'<script>*\\n---\\nlicense: mit`" in card.text


def test_accuracies_are_results_that_the_hub_reads():
    measured = Measured("## Results\n\nhere", {"xnli": {"en": 0.5, "fr": 1 / 3}})
    card = card_of(config_of(), measured)
    found = {
        (one.task_type, one.dataset_type, one.dataset_config, one.metric_type): one.metric_value
        for one in card.data.eval_results
    }
    about = "text-generation", "xnli"
    assert found == {(*about, "en", "accuracy"): 0.5, (*about, "fr", "accuracy"): 0.3333}
    assert card.data.model_name == "dense, pruned (wanda, 30%)"
    fine = config_of(**{"pruning.sparsity": 0.375})
    assert card_of(fine, measured).data.model_name == "dense, pruned (wanda, 37.5%)"
    assert "## Results\n\nhere\n" in card.text
    assert "Not evaluated" not in card.text


def test_what_no_config_says_is_refused():
    config = config_of()
    config["pruning"]["criterion"] = "other"
    with pytest.raises(jp.InputError, match=r"config\.json: pruning\.criterion: got 'other'"):
        card_of(config)
    with pytest.raises(jp.InputError, match=r"report\.json: origin: missing"):
        model_card(config_of(), {name: value for name, value in REPORT.items() if name != "origin"})


def test_commands_of_a_card_have_last_parts_of_paths_and_whole_revisions():
    config = {"model": "/data/models/own", "revision": "refs/pr/12"}
    [(_, line)] = commands(config, {})
    assert line.endswith("--workdir RUN --config.model=own --config.revision=refs/pr/12")
    [(_, line)] = commands(config, {"origin": {"name": "other"}}, "run")
    assert line.endswith(
        "--workdir run --config.model=/data/models/own --config.revision=refs/pr/12"
    )
