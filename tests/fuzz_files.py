"""Sound foreign files for fuzz.py, and such that would run code."""

import io
import json
import os
import pickle
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import run_json
import safetensors.numpy
import torch

PUBLISHED = Path(__file__).parents[1] / "jaxprune" / "models" / "published.json"
CANARY = Path(tempfile.gettempdir()) / f"fuzz-canary-{os.getpid()}"


def prepare(folder: Path) -> None:
    """What a target's folder holds beside the file: the shards of index.json."""
    (folder / "a.safetensors").write_bytes(safetensors.numpy.save({"x": np.arange(3.0)}))
    (folder / "b.safetensors").write_bytes(safetensors.numpy.save({"y": np.arange(2)}))


class _Attack:
    def __reduce__(self):
        return os.system, (f"touch {CANARY}",)


def _written(write, *arguments, **named) -> bytes:
    memory = io.BytesIO()
    write(memory, *arguments, **named)
    return memory.getvalue()


def _archive(memory, **contents) -> None:
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def _jsons(*values) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def safetensors_files() -> list[bytes]:
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3), "half": np.arange(4, dtype=np.float16),
        "none": np.zeros((0, 7), np.int64), "one": np.array(3, np.int64),
    }  # fmt: skip
    return [safetensors.numpy.save(arrays, {"format": "pt"})]


def bin_files() -> list[bytes]:
    base = torch.arange(24.0).reshape(2, 3, 4)
    table = {"a": base, "t": base[1].t(), "h": torch.zeros(2).bfloat16(), "n": torch.zeros(0, 3)}
    attacks = [
        _written(_archive, **{"a/data.pkl": pickle.dumps(value, protocol), "a/version": b"3"})
        for protocol in (0, 2, 4)
        for value in (_Attack(), {"a": _Attack()}, [_Attack()])
    ]
    sound = [_written(lambda file, value: torch.save(value, file), value) for value in
             (table, torch.nn.Linear(2, 3).state_dict())]  # fmt: skip
    return [*sound * 4, *attacks]


def config_files() -> list[bytes]:
    rope = {"type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    old = {"model_type": "llama", "rope_theta": 1e4, "num_attention_heads": 6, "hidden_size": 48}
    windows = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
    return _jsons(
        *json.loads(PUBLISHED.read_text("utf-8")).values(),
        old | {"rope_scaling": rope | {"original_max_position_embeddings": 32}},
        {"model_type": "qwen2", "num_hidden_layers": 2, "hidden_size": 48} | windows,
    )


def index_files() -> list[bytes]:
    places = {"x": "a.safetensors", "y": "b.safetensors"}
    return _jsons({"metadata": {"total_size": 40}, "weight_map": places})


def report_files() -> list[bytes]:
    return _jsons(run_json.with_digest(run_json.REPORT))


def table_files() -> list[bytes]:
    names = (".", "..", "/etc/passwd", "a/../b", "a\0b", "a/" * 3000, "a.safetensors")
    return _jsons(run_json.TABLE, *({name: [3, run_json.SHA]} for name in names))


def npz_files() -> list[bytes]:
    ids = np.array([[0, 0, 5, 6], [7, 8, 9, 1]], np.int32)
    tokens = {"input_ids": ids, "attention_mask": (ids > 0).astype(int), "code_ids": ids[:1]}
    others = {"a": np.zeros((0, 3)), "b": np.array(True), "f": np.asfortranarray(ids), "u": ids > 4}
    return [
        *(_written(save, **tokens) for save in (np.savez, np.savez_compressed)),
        _written(np.savez, **others), _written(np.save, ids), pickle.dumps(_Attack()),
        _written(np.savez, a=np.array("text"), input_ids=np.array([_Attack()], dtype=object)),
    ]  # fmt: skip


def jsonl_files() -> list[bytes]:
    rows = _jsons(
        {"premise": "a", "hypothesis": "b é", "label": 0},
        {"premise": "x\u2028", "hypothesis": "y", "label": "1"},
    )
    return [b"\n".join(rows)]


def csv_files() -> list[bytes]:
    return [
        b'premise,hypothesis,label\na,b,0\n"a\nb","c ""d""",1\n', b"premise\r\na\r\nb\r\n",
        b"premise,hypothesis,label\r\na,b,2\r\n", b'"a\nb","a"\n1,2\n', b"x" * 140_000 + b",b\n1,2\n",
    ]  # fmt: skip


def measurement_files() -> list[bytes]:
    header = b"run,model,task,language,measure,value,low,high,n\n"
    return [header + b"a,m,xnli,fr,accuracy,0.5,0.4,0.6,300\na,m,xnli,fr,f1,0.25,,,300\n"]


def text_files() -> list[bytes]:
    return ["Le lac est gelé.\nAna amka.\n".encode(), "\ufeffa\u2028b\r\nc".encode(), b""]
