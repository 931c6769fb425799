"""The readers that fuzz.py calls, and what their values must fulfil whatever the file says."""

import dataclasses
import math
import types
import typing
from pathlib import Path

import numpy as np
import run_json
import safetensors

from jaxprune.base.errors import InputError, one_line
from jaxprune.base.files import manifest
from jaxprune.base.files.arrays import read_npz
from jaxprune.base.text import csv_text
from jaxprune.data.texts import sentences
from jaxprune.evaluation.measurements import Measurement, read_measurements
from jaxprune.evaluation.tasks.data import Source
from jaxprune.evaluation.tasks.questions import load_task, questions
from jaxprune.hf.tensor_index import find_tensors
from jaxprune.hf.tensors import StoredTensor
from jaxprune.models.model import load_config
from jaxprune.pages.files import read_files
from jaxprune.pages.page import run_page
from jaxprune.stats.calibration_sets import token_batches


def read_tensors(path: Path) -> dict[str, StoredTensor]:
    """Every tensor lies in a file of the folder and has the shape and dtype that it claims."""
    files = find_tensors(path.parent)
    for info in files.values():
        array = info.read()
        assert (array.shape, array.dtype) == (info.shape, info.dtype)
        assert info.file.parent == path.parent
        assert 0 <= info.offset <= info.file.stat().st_size
        pieces = [np.empty(0, info.dtype), *info.chunks()]
        assert np.concatenate(pieces).tobytes() == array.tobytes()
        if info.shape and info.shape[0]:
            last = np.array([info.shape[0] - 1])
            assert info.rows(last).tobytes() == array[last].tobytes()
    return files


def read_safetensors(path: Path) -> None:
    """As the library itself reads the file."""
    files = read_tensors(path)
    theirs = dict(safetensors.deserialize(path.read_bytes()))
    assert theirs.keys() == set(files)
    for name, tensor in theirs.items():
        assert tensor["shape"] == list(files[name].shape)
        assert bytes(tensor["data"]) == files[name].read().tobytes()


def read_torch_bin(path: Path) -> None:
    """Elements are those of the storage at the strides, taken one by one."""
    files = read_tensors(path)
    raw = path.read_bytes()
    for info in files.values():
        if info.strides is None:
            assert info.read().tobytes() == raw[info.offset : info.offset + info.read().nbytes]
            continue
        array, size = info.read(), info.dtype.itemsize
        for index in np.ndindex(info.shape):
            start = info.offset + size * sum(map(int.__mul__, index, info.strides))
            assert array[index].tobytes() == raw[start : start + size]


def read_config(path: Path) -> None:
    """Sizes are positive, numbers finite, and every field is of its kind."""
    config = load_config(path.parent)
    ropes = [kind.rope for kind in config.kinds]
    for table in filter(None, (config, *config.kinds, *ropes)):
        for field in dataclasses.fields(table):
            value = getattr(table, field.name)
            is_union = isinstance(field.type, types.UnionType)
            kinds = typing.get_args(field.type) if is_union else (field.type,)
            plain = [typing.get_origin(kind) or kind for kind in kinds]
            assert type(value) in plain, f"{field.name}: {value!r}"
            if type(value) in (int, float):
                assert math.isfinite(value), field.name
                assert value > 0 or (field.name, value) == ("position_zero_row", 0), field.name
                assert isinstance(value, float) or value < 2**40, field.name
    assert config.n_heads % config.n_kv_heads == 0
    assert set(config.pattern) == set(range(len(config.kinds)))
    for rope in filter(None, ropes):
        assert config.head_dim % 2 == 0
        assert rope.low_freq_factor < rope.high_freq_factor


def read_index(path: Path) -> None:
    """Only the two shards of the folder can be meant."""
    assert set(find_tensors(path.parent)) <= {"x", "y"}
    read_tensors(path)


def read_run(path: Path) -> None:
    """A report that has its digest is the one that was written, of which there is a page."""
    run = read_files(path.parent)
    assert run.report == run_json.with_digest(run_json.REPORT)
    assert run_page(run).encode()


def read_measured(path: Path) -> None:
    """What is read is written again as it was, but for the form of numbers."""
    measured = read_measurements(path.parent)
    path.write_text(csv_text(Measurement._fields, measured), encoding="utf-8")
    again = read_measurements(path.parent)
    assert list(map(repr, again)) == list(map(repr, measured))


def read_table(path: Path) -> None:
    """Names of files in the folder, each of which is as the table says or told in a line."""
    for name in manifest.table(path.parent):
        assert (path.parent / name).resolve().is_relative_to(path.parent.resolve())
    for fault in manifest.faults(path.parent):
        assert one_line(fault).isprintable()


def read_tokens(path: Path) -> None:
    """Batches hold the ids that the mask marks, row by row."""
    batches = token_batches(path)
    arrays = read_npz(path)
    ids = arrays["input_ids"]
    mask = arrays.get("attention_mask", np.ones_like(ids)).astype(bool)
    rows = 0
    for batch in batches:
        assert batch.tokens.shape == batch.valid.shape
        assert batch.tokens.min() >= 0
        if batch.role == "tokens":
            rows += len(batch.samples)
            for row, valid, sample in zip(batch.tokens, batch.valid, batch.samples, strict=True):
                assert np.array_equal(row[valid], ids[sample][mask[sample]])
    assert rows == len(ids)


def read_rows(path: Path) -> None:
    """Rows are counted; a field is a text that can be written, or refused."""
    rows = Source(str(path.parent)).read(path.stem)
    assert [row.number for row in rows] == list(range(len(rows)))
    refused = None
    try:
        for question in questions(load_task("xnli"), path.stem, data=str(path.parent)):
            assert 0 <= question.label < len(question.options)
    except InputError as error:
        refused = error
    for row in rows:
        assert row.where.startswith(f"{path}:")
        for name in ("premise", "hypothesis", "label"):
            try:
                row.is_empty(name)
                row.text(name).encode()
            except InputError as error:
                refused = error
    if refused is not None:  # its message is checked as any other's
        raise refused


def read_lines(path: Path) -> None:
    """As many sentences as lines, none of them empty."""
    lines = sentences(path.parent, path.stem)
    assert all(line and "\n" not in line for line in lines)
    assert len(lines) == len(path.read_bytes().rstrip(b"\n").split(b"\n")) or not lines
