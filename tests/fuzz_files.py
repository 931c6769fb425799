"""Foreign files for fuzz.py: sound ones, and such ones changed."""

import io
import json
import os
import pickle
import struct
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import run_json
import safetensors.numpy
import torch
from fuzz_changes import NAMES, changed, changed_object, json_text
from hypothesis import strategies as st

CANARY = Path(tempfile.gettempdir()) / f"fuzz-canary-{os.getpid()}"


def prepare(folder: Path) -> None:
    """What a target's folder holds beside the file: the shards of index.json."""
    (folder / "a.safetensors").write_bytes(safetensors.numpy.save({"x": np.arange(3.0)}))
    (folder / "b.safetensors").write_bytes(safetensors.numpy.save({"y": np.arange(2)}))


# Safetensors


def _safetensors(header: bytes, body: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + body


def safetensors_files() -> st.SearchStrategy[bytes]:
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "half": np.arange(4, dtype=np.float16),
        "none": np.zeros((0, 7), np.int64),
        "one": np.array(3, np.int64),
    }
    whole = safetensors.numpy.save(arrays, {"format": "pt"})
    start = 8 + struct.unpack("<Q", whole[:8])[0]
    header, body = whole[8:start], whole[start:]
    structured = changed_object([json.loads(header)], ["__metadata__"])
    headers = st.one_of(changed([header]), structured, changed(structured))
    return st.one_of(
        changed([whole]),
        st.builds(_safetensors, headers, st.sampled_from([body, body[:-1], body * 2, b""])),
    )


# Torch's .bin


class _Attack:
    def __reduce__(self):
        return os.system, (f"touch {CANARY}",)


def _saved(value) -> bytes:
    memory = io.BytesIO()
    torch.save(value, memory)
    return memory.getvalue()


def _repacked(whole: bytes, changes: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """The zip with other contents and checksums that fit them; new names are added."""
    memory = io.BytesIO()
    with (
        warnings.catch_warnings(action="ignore"),
        zipfile.ZipFile(io.BytesIO(whole)) as old,
        zipfile.ZipFile(memory, "w", method) as new,
    ):
        contents = {name: old.read(name) for name in old.namelist()} | changes
        for name, content in contents.items():
            new.writestr(name, content)
    return memory.getvalue()


OPCODES = st.sampled_from(
    [bytes([code]) for code in b"}])(N\x88tuseabRQ.\x85\x86\x87\x94\x93\x81012"]
    + [b"q\x00", b"h\x00", b"r\xff\xff\xff\xff", b"j\xff\xff\xff\xff", b"K\x02", b"\x8a\xff"]
    + [b"J\xff\xff\xff\xff", b"\x8a\x09" + b"\x7f" * 9, b"\x8b\xff\xff\xff\x7f", b"I9\n", b"L9L\n"]
    + [b"X\x01\x00\x00\x00a", b"X\x07\x00\x00\x00storage", b"X\xff\xff\xff\xff", b"X\x01\0\0\0\n"]
    + [b"ccollections\nOrderedDict\n", b"ctorch\nFloatStorage\n", b"cos\nsystem\n"]
    + [b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n"]
    + [b"(" * 2000, b"\x85" * 2000, b"](" * 500, f"X\x05\0\0\0touch{CANARY}".encode()]
)


def bin_files() -> st.SearchStrategy[bytes]:
    base = torch.arange(24.0).reshape(2, 3, 4)
    table = {"a": base, "t": base[1].t(), "h": torch.zeros(2).bfloat16(), "n": torch.zeros(0, 3)}
    seeds = [_saved(table), _saved(torch.nn.Linear(2, 3).state_dict())]
    attacks = [
        pickle.dumps(value, protocol)
        for protocol in (0, 2, 4)
        for value in (_Attack(), {"a": _Attack()}, [_Attack()])
    ]
    description = "data.pkl"
    seed = _repacked(seeds[0], {})
    name = next(n for n in zipfile.ZipFile(io.BytesIO(seed)).namelist() if n.endswith(description))
    honest = zipfile.ZipFile(io.BytesIO(seed)).read(name)
    handmade = st.lists(OPCODES, max_size=25).map(lambda codes: b"\x80\x02" + b"".join(codes))
    pickles = st.one_of(changed([honest]), changed([honest]), changed(attacks), handmade)
    inside = st.builds(lambda content: _repacked(seed, {name: content}), pickles)
    methods = st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    compressed = methods.map(lambda method: _repacked(seed, {}, method))
    other = st.dictionaries(
        st.sampled_from(["archive/byteorder", name, "x/data.pkl", "é"]), st.binary(max_size=9)
    )
    more = other.map(lambda entries: _repacked(seed, entries))
    return st.one_of(changed(seeds), inside, inside, changed(st.one_of(compressed, more)))


# config.json, index.json, files of a run


def config_files() -> st.SearchStrategy[bytes]:
    rope = {
        "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
    }  # fmt: skip
    common = {"vocab_size": 131, "pad_token_id": 1, "tie_word_embeddings": True}
    llama = common | {
        "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 6, "hidden_act": "silu",
        "num_key_value_heads": 2, "intermediate_size": 80, "rms_norm_eps": 1e-6, "head_dim": 8,
        "rope_parameters": rope, "attention_bias": False, "max_position_embeddings": 64,
    }  # fmt: skip
    full = {"layer_types": ["full_attention"] * 2}
    layers = {
        "num_hidden_layers": 2, "layer_types": ["full_attention", "sliding_attention"],
        "sliding_window": 8, "sliding_window_pattern": 2, "no_rope_layers": [1, 0],
        "no_rope_layer_interval": 2, "rope_scaling": {"rope_type": "linear", "factor": 2.0},
        "logit_scale": 0.5, "final_logit_softcapping": 30.0, "use_sliding_window": True,
    }  # fmt: skip
    windows = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
    old = {k: v for k, v in llama.items() if k != "rope_parameters"} | {
        "rope_theta": 1e4, "rope_scaling": rope
    }  # fmt: skip
    gpt2 = common | {
        "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 64, "n_inner": None,
        "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "scale_attn_weights": True,
    }  # fmt: skip
    bloom = common | {"hidden_size": 48, "n_layer": 2, "n_head": 4, "layer_norm_epsilon": 1e-5}
    xglm = common | {
        "d_model": 48, "num_layers": 2, "attention_heads": 4, "ffn_dim": 80,
        "max_position_embeddings": 64, "scale_embedding": True, "activation_function": "gelu",
    }  # fmt: skip
    seeds = [
        {"model_type": "llama"} | llama, {"model_type": "llama"} | old,
        {"model_type": "qwen2"} | llama | full, {"model_type": "qwen3"} | llama | full,
        {"model_type": "qwen2"} | old | windows,
        {"model_type": "gpt2"} | gpt2, {"model_type": "bloom"} | bloom,
        {"model_type": "xglm"} | xglm,
        *({"model_type": kind} | layers for kind in ("gemma2", "gemma3_text", "cohere2", "smollm3")),
        {"model_type": "gemma3", "text_config": layers}, {"model_type": "mistral"} | llama,
        {"model_type": "apertus", "rope_parameters": rope}, {"model_type": "cohere", "use_qk_norm": True},
    ]  # fmt: skip
    structured = changed_object(
        seeds,
        ["layer_types", "partial_rotary_factor", "n_inner", "architectures", "quantization_config"],
    )
    return st.one_of(structured, structured, changed([json.dumps(seed).encode() for seed in seeds]))


def index_files() -> st.SearchStrategy[bytes]:
    places = {"x": "a.safetensors", "y": "b.safetensors"}
    seed = {"metadata": {"total_size": 40}, "weight_map": places}
    shards = st.one_of(
        st.sampled_from(
            ["../a.safetensors", "/etc/passwd", "a.safetensors\n", ".", "x" * 3000 + ".safetensors"]
        ),
        st.from_regex(r"[\w.-]{1,9}\.safetensors", fullmatch=True),
        st.text(max_size=5),
    )
    maps = st.dictionaries(st.one_of(NAMES, st.sampled_from(["x", "y"])), shards, max_size=3)
    moved = maps.map(lambda table: json.dumps(seed | {"weight_map": places | table}).encode())
    return st.one_of(changed_object([seed]), moved, changed([json.dumps(seed).encode()]))


@st.composite
def _changed_within(draw, seed: dict) -> bytes:
    """One value of the seed, however deep, replaced."""
    mark = "here it goes"
    path = draw(st.sampled_from(list(run_json.paths_of(seed))))
    text = json.dumps(run_json.replaced(seed, path, mark))
    return _bytes(text.replace(json.dumps(mark), draw(json_text())))


def run_json_files(seed: dict) -> st.SearchStrategy[bytes]:
    """The JSON file of a run, of which `seed` is a sound one."""
    deep = _changed_within(seed)
    return st.one_of(deep, deep, changed_object([seed]), changed([json.dumps(seed).encode()]))


def table_files() -> st.SearchStrategy[bytes]:
    """A table of files, of any names."""
    odd = st.sampled_from(
        [".", "..", "/etc/passwd", "a/../b", "a\0b", "a/" * 3000, "a.safetensors"]
    )
    tables = st.dictionaries(st.one_of(NAMES, odd), st.just([3, run_json.SHA]), max_size=3)
    return st.one_of(
        tables.map(lambda table: json.dumps(table).encode()), run_json_files(run_json.TABLE)
    )


# Arrays


def _npz(save, **arrays) -> bytes:
    memory = io.BytesIO()
    save(memory, **arrays)
    return memory.getvalue()


def _npy(header: bytes, body: bytes, version: bytes = b"\x01\x00") -> bytes:
    length = struct.pack("<H" if version[0] == 1 else "<I", len(header) % 2**16)
    return b"\x93NUMPY" + version + length + header + body


def npz_files() -> st.SearchStrategy[bytes]:
    ids = np.array([[0, 0, 5, 6], [7, 8, 9, 1]], np.int32)
    tokens = {"input_ids": ids, "attention_mask": (ids > 0).astype(int), "code_ids": ids[:1]}
    others = {"a": np.zeros((0, 3)), "b": np.array(True), "f": np.asfortranarray(ids), "u": ids > 4}
    seeds = [
        _npz(np.savez, **tokens), _npz(np.savez_compressed, **tokens), _npz(np.savez, **others),
        _npz(np.savez, a=np.array("text"), o=np.array([{}], dtype=object)),
    ]  # fmt: skip
    headers = [
        b"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 4), }\n",
        b"{'descr': '|i1', 'fortran_order': True, 'shape': (32,), }\n",
        b"{'descr': [('x', '<i4')], 'fortran_order': False, 'shape': (8,), }\n",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n",
        b"(" * 3000, b"-" * 3000 + b"1", b"  {\n 'a'", b"[" * 90 + b"]" * 90, b"f'{1}'",
    ]  # fmt: skip
    bodies = st.sampled_from([ids.tobytes(), b"", bytes(10_000), pickle.dumps(_Attack())])
    versions = st.sampled_from([b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"])
    members = st.builds(_npy, changed(headers), bodies, versions)
    names = st.sampled_from(["input_ids.npy", "attention_mask.npy", "x.npy", "x", "é\n.npy"])
    methods = st.sampled_from(
        [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    inside = st.builds(
        lambda name, content, method: _repacked(seeds[0], {name: content}, method),
        names, members, methods,
    )  # fmt: skip
    bare = [_npy(headers[0], ids.tobytes()), pickle.dumps(_Attack()), b""]
    return st.one_of(changed(seeds), inside, changed(inside), changed(bare))


# Rows and lines


def jsonl_files() -> st.SearchStrategy[bytes]:
    good = [
        {"premise": "a", "hypothesis": "b é", "label": 0},
        {"premise": "x\u2028", "hypothesis": "y", "label": "1"},
    ]
    line = st.one_of(
        changed_object(good),
        changed_object(good),
        changed([json.dumps(row).encode() for row in good]),
        json_text().map(_bytes),
    )
    lines = st.lists(line, max_size=4).map(b"\n".join)
    return st.one_of(lines, changed(["\n".join(map(json.dumps, good)).encode()]), changed(lines))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def csv_files() -> st.SearchStrategy[bytes]:
    seeds = [
        b'premise,hypothesis,label\na,b,0\n"a\nb","c ""d""",1\n',
        b"premise,hypothesis,label\r\na,b,2\r\n", b"premise\r\na\r\nb\r\n",
        b'"a\nb","a"\n1,2\n', b"x" * 140_000 + b",b\n1,2\n",
    ]  # fmt: skip
    cell = st.one_of(st.text(max_size=4), st.sampled_from(['"a\nb"', '"', '""', "x" * 3000]))
    table = st.lists(st.lists(cell, max_size=4).map(",".join), max_size=4).map("\n".join)
    return st.one_of(changed(seeds), table.map(_bytes), changed(table.map(_bytes)))


def measurement_files() -> st.SearchStrategy[bytes]:
    header = b"run,model,task,language,measure,value,low,high,n\n"
    seed = header + b"a,m,xnli,fr,accuracy,0.5,0.4,0.6,300\na,m,xnli,fr,f1,0.25,,,300\n"
    cell = st.one_of(st.text(max_size=4), st.sampled_from(["nan", "1e999", "-0", "0x1", "9" * 400]))
    rows = st.lists(st.lists(cell, min_size=8, max_size=10).map(",".join), max_size=3)
    return st.one_of(changed([seed]), rows.map(lambda lines: header + _bytes("\n".join(lines))))


def text_files() -> st.SearchStrategy[bytes]:
    seeds = ["Le lac est gelé.\nAna amka.\n".encode(), "\ufeffa\u2028b\r\nc".encode()]
    return st.one_of(changed(seeds), st.text(max_size=30).map(_bytes), st.binary(max_size=30))
