"""Rows of the table of faults: the model's folder."""

import numpy as np
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
    "config.json not UTF-8": broken(
        r"model/config\.json: not JSON", lambda p: p.with_file("config.json", b'{"a": "\xff"}')
    ),
    "config.json only a BOM": broken(
        r"model/config\.json: not JSON", lambda p: p.with_file("config.json", b"\xef\xbb\xbf")
    ),
    "config.json of numbers in 5,000 digits": broken(
        r"model/config\.json: not JSON",
        lambda p: p.with_file("config.json", b'{"model_type": "bloom", "n_head": 1%s}' % (b"0" * 5000)),
    ),
    "a size that is null": broken(
        r"config\.json: n_head is missing",
        lambda p: p.with_file("config.json", b'{"model_type": "bloom", "n_head": null}'),
    ),
    "unknown model_type": broken(r"model_type.*'blom'", lambda p: p.model(model_type="blom")),
    "text as a size": broken(r"config\.json: n_head is '4'", lambda p: p.model(n_head="4")),
    "no heads": broken(r"config\.json: n_head is 0", lambda p: p.model(n_head=0)),
    "heads that do not divide": broken(r"config\.json: .*5", lambda p: p.model(n_head=5)),
    "an attribute of other families": broken(
        r"config\.json: .*attention_chunk_size", lambda p: p.model(attention_chunk_size=8)
    ),
    "code of others": broken(r"config\.json: auto_map", lambda p: p.model(auto_map={"AutoModel": "x.X"})),
    "quantised": broken(
        r"config\.json: .*quantised \(gptq\)", lambda p: p.model(quantization_config={"quant_method": "gptq"})
    ),
    "a classifier": broken(
        r"config\.json: architectures", lambda p: p.model(architectures=["BloomForSequenceClassification"])
    ),
    "two spellings": broken(
        r"config\.json: n_head=4 and num_attention_heads=2", lambda p: p.model(num_attention_heads=2)
    ),
    "more layers than there are": broken(r"model: .*no tensor|missing", lambda p: p.model(n_layer=9)),
    "fewer layers than there are": broken(r"h\.1\.|unexpected", lambda p: p.model(n_layer=1)),
    "another vocabulary": broken(r"word_embeddings.*shape", lambda p: p.model(vocab_size=77)),
    "a billion layers": broken(r"model: .*1000000000 layers", lambda p: p.model(n_layer=10**9)),
    "absurd width": broken(r"config\.json|shape", lambda p: p.model(hidden_size=2**50)),
    "absurd vocabulary": broken(
        r"config\.json: vocab_size is 1180591620717411303424", lambda p: p.model(vocab_size=2**70)
    ),
    "no weights": broken(
        r"model: no weights", lambda p: both((f := p.model()) and (f / WEIGHTS).unlink(), f)
    ),
    "weights of 0 bytes": broken(r"model\.safetensors: .*0 bytes", lambda p: p.cut(0)),
    "header cut": broken(r"model\.safetensors: .*truncated or damaged, of 100 bytes", lambda p: p.cut(100)),
    "tensors cut": broken(r"model\.safetensors: .*truncated or damaged, of 100000 bytes", lambda p: p.cut(100_000)),
    "bit of the header's length": broken(r"model\.safetensors: ", lambda p: p.flipped(0)),
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
    "NaN weights": broken(r"layer 2, mlp/up/kernel: contains NaN", lambda p: p.with_values(np.nan)),
    "infinite weights": broken(r"layer 2, mlp/up/kernel: contains NaN", lambda p: p.with_values(np.inf)),
}  # fmt: skip
