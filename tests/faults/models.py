"""Rows of the table of faults: the model's folder."""

from faults.fault import Fault, both
from faults.place import WEIGHTS


def broken(says, make):
    """A model that cannot be opened."""
    return Fault(lambda p: p.prune(model=make(p)), says)


ROWS = {
    "no such model": broken(r"no/such/model: ", lambda p: "no/such/model"),
    "no network": Fault(
        lambda p: p.prune(model="jaxprune-tests/is-in-no-cache"),
        r"jaxprune-tests/is-in-no-cache: .*hub cannot be reached", 1,
    ),
    "model is a file": broken(r"file\.bin: is a file", lambda p: p.file(b"x", "file.bin")),
    "revision of a folder": Fault(
        lambda p: p.prune("revision=v1"), r"revision: got 'v1'; expected none, as .* is a folder"
    ),
    "empty folder": broken(r"workdir: no config\.json", lambda p: both(p.workdir.mkdir(), p.workdir)),
    "config.json no JSON": broken(
        r"model/config\.json: not JSON", lambda p: p.with_file("config.json", b"{")
    ),
    "config.json a list": broken(
        r"model/config\.json: expected a JSON object", lambda p: p.with_file("config.json", b"[1]")
    ),
    "unknown model_type": broken(r"model_type.*'blom'", lambda p: p.model(model_type="blom")),
    "code of others": broken(r"config\.json: auto_map", lambda p: p.model(auto_map={"AutoModel": "x.X"})),
    "a classifier": broken(
        r"config\.json: architectures", lambda p: p.model(architectures=["BloomForSequenceClassification"])
    ),
    "more layers than there are": broken(r"model: .*no tensor|missing", lambda p: p.model(n_layer=9)),
    "another vocabulary": broken(r"word_embeddings.*shape", lambda p: p.model(vocab_size=77)),
    "a billion layers": broken(r"model: .*1000000000 layers", lambda p: p.model(n_layer=10**9)),
    "absurd width": broken(r"config\.json|shape", lambda p: p.model(hidden_size=2**50)),
    "no weights": broken(
        r"model: no weights", lambda p: both((f := p.model()) and (f / WEIGHTS).unlink(), f)
    ),
    "tensors cut": broken(r"model\.safetensors: .*truncated or damaged, of 100000 bytes", lambda p: p.cut(100_000)),
    "bit of the header": broken(r"model\.safetensors: .*header", lambda p: p.flipped(8)),
    "Git LFS pointer": broken(
        r"model\.safetensors: a Git LFS pointer",
        lambda p: p.with_file(WEIGHTS, b"version https://git-lfs.github.com/spec/v1\noid"),
    ),
    "index at a missing file": broken(
        r"model-1\.safetensors is missing", lambda p: p.with_index("model-1.safetensors")
    ),
    "index out of the folder": broken(
        r"index\.json: places tensor .* in '\.\./outside", lambda p: p.with_index("../outside.safetensors")
    ),
    "pickle that calls os.system": broken(
        r"pytorch_model\.bin.*names '(posix|nt)\.system'", lambda p: p.with_attack()
    ),
}  # fmt: skip
