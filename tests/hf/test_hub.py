"""Hub ids and folders, with the hub's client replaced: what is asked for, and in which order."""

import fnmatch
import types

import huggingface_hub
import huggingface_hub.errors as errors
import pytest

import jaxprune as jp
from jaxprune.hf import hub


def http_error(kind, message):
    """As the client raises it; what it keeps of a response differs by its version's HTTP library."""
    return kind(message, response=types.SimpleNamespace(headers={}, request=None))


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Files of a repository → the calls that are made; the client gives those that match."""
    calls = []

    def make(*files):
        def download(model, *, revision, allow_patterns, ignore_patterns):
            calls.append((model, revision))
            for file in files:
                wanted = any(fnmatch.fnmatch(file, p) for p in allow_patterns)
                if wanted and not any(fnmatch.fnmatch(file, p) for p in ignore_patterns):
                    (tmp_path / file).parent.mkdir(exist_ok=True)
                    (tmp_path / file).touch()
            return str(tmp_path)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
        return calls

    return make


BESIDE = ["config.json", "tokenizer.json", "tokenizer.model", "merges.txt", "LICENSE", "README.md"]
NEVER = [
    "modeling_evil.py", "flax_model.msgpack", "tf_model.h5", "rust_model.ot",
    "original/consolidated.00.pth", "original/model.safetensors", "training_args.bin", "onnx/model.onnx",
]  # fmt: skip


@pytest.mark.parametrize(
    ("weights", "taken", "downloads"),
    [
        (["model.safetensors", "pytorch_model.bin"], ["model.safetensors"], 1),
        (
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
             "model.safetensors.index.json", "pytorch_model-00001-of-00001.bin"],
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
             "model.safetensors.index.json"],
            1,
        ),
        (["pytorch_model.bin"], ["pytorch_model.bin"], 2),
        (
            ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin",
             "pytorch_model.bin.index.json"],
            ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin",
             "pytorch_model.bin.index.json"],
            2,
        ),
    ],
)  # fmt: skip
def test_safetensors_come_first_and_bin_only_where_there_is_nothing_else(
    weights, taken, downloads, repository, tmp_path
):
    calls = repository(*BESIDE, *NEVER, *weights)
    folder = hub.resolve("owner/name", "v1")
    assert folder == tmp_path
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {*BESIDE, *taken}
    assert calls == [("owner/name", "v1")] * downloads


def test_a_folder_is_taken_as_it_is(repository, tmp_path, monkeypatch):
    calls = repository()
    assert hub.resolve(str(tmp_path)) == tmp_path
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert hub.resolve("owner/name").resolve() == tmp_path / "owner" / "name"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hub.resolve("~/owner") == tmp_path / "owner"
    assert calls == []


def test_a_file_is_no_model(tmp_path):
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(jp.InputError, match=r"is a file; expected a Hugging Face folder"):
        jp.load(file)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            http_error(errors.RepositoryNotFoundError, "404 Client Error.\nRequest id"),
            r"neither a folder nor a repository of the hub \(404 Client Error\.\)",
        ),
        (http_error(errors.GatedRepoError, "403 gated\nask"), r"neither .* \(403 gated\)"),
        (http_error(errors.RevisionNotFoundError, "no such tag"), r"neither .* \(no such tag\)"),
    ],
)
def test_a_hub_that_refuses(error, message, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(jp.InputError, match=message) as caught:
        jp.load("owner/name")
    assert str(caught.value).startswith("owner/name: ")


def test_a_bundled_model_that_is_not_there():
    for wrong, meant in (("nano/blom", "nano/bloom"), ("nanoo", "nano"), ("nao", "nano")):
        said = rf"model: got '{wrong}'; expected nano, nano/xglm, .* \(did you mean {meant}\?\)$"
        with pytest.raises(jp.InputError, match=said):
            jp.load(wrong)


def test_a_proxy_that_refuses(monkeypatch):
    def fail(*_, **__):
        raise type("ProxyError", (Exception,), {"__module__": "httpx"})("403 Forbidden")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(ConnectionError, match=r"owner/name: .*cannot be reached \(403 Forbidden\)"):
        jp.load("owner/name")


@pytest.mark.parametrize("model", ["no/such/folder", "bad id", "owner/name/", "../nothing"])
def test_what_is_neither_folder_nor_id(model, tmp_path, monkeypatch):
    """With the real client, which refuses such names before it asks anyone."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(jp.InputError) as caught:
        hub.resolve(model)
    assert "folder" in str(caught.value)


def test_offline_and_not_in_the_cache():
    """With the real client: the tests run with HF_HUB_OFFLINE."""
    with pytest.raises(
        ConnectionError, match="no such folder, and the hub cannot be reached"
    ) as no:
        hub.resolve("jaxprune-tests/is-in-no-cache")
    assert "\n" not in str(no.value)
