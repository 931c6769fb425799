"""NaN and infinity in any parameter of a model are refused as it is read, from files and from memory."""

import contextlib
import itertools
import re
import shutil

import jax
import ml_dtypes
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from known_stats import stats_from_squares

import jaxprune as jp
from jaxprune.hf.finite import check_finite
from jaxprune.hf.shards import ShardWriter
from jaxprune.hf.weights import exported_specs
from jaxprune.pruning.settings import Settings

NAMES = (
    "gpt2-unscaled-inner",
    "llama3-tied-biases",
)  # the first has a head of its own, and positions
DTYPES = (np.float32, np.float16, ml_dtypes.bfloat16, np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_that_is_no_number_is_found_and_no_number_is(dtype):
    limits = ml_dtypes.finfo(dtype)
    largest = min(float(limits.max), 2.0**56 * (1 - float(limits.eps)))
    numbers = [0.0, -0.0, 1, -1, largest, -largest, limits.tiny, -limits.smallest_subnormal]
    array = np.resize(np.array(numbers, dtype), (3, 1 << 18))
    check_finite(array, "x")
    check_finite(array.T, "x")
    check_finite(array[:, :0], "x")
    if float(limits.max) > 2.0**56:
        for value in (2.0**56, -(2.0**56)):
            with pytest.raises(jp.InputError, match=r"^up: contains values of 7e\+16 or more"):
                check_finite(np.array([0, value], dtype), "up")
    for value in (np.nan, -np.nan, np.inf, -np.inf):
        for place in ((0, 0), (1, 77), (2, -1)):
            bad = array[:, -100:].copy()
            bad[place] = value
            for turned in (bad, bad.T, bad[::-1]):
                with pytest.raises(
                    jp.InputError, match=r"^layer 3, up/kernel: contains NaN or infinity"
                ):
                    check_finite(turned, "blocks/up/kernel", 3)


def reads(model, shards):
    """Every way in which something of a model is read, by the part that it reads."""
    every = np.arange(model.config.vocab_size)
    source = model.source
    specs = exported_specs(model.config, source.dtype_of)
    yield "embed", lambda: model.part("embed")
    yield "embed", lambda: source.embed_rows(every)
    yield "head", lambda: model.part("head")
    yield (
        "embed/tokens" if model.config.tied_head else "head/kernel",
        lambda: source.head_rows(every),
    )
    yield "embed head", lambda: source.copy_unpruned(ShardWriter(next(shards), specs))
    yield "blocks", lambda: [model.block(layer) for layer in range(model.config.n_layers)]


def in_memory(model, path, layer):
    """The model with NaN in a parameter."""
    params = jax.tree.map(np.copy, model.params)
    leaf = flatten_dict(params, sep="/")[path]
    (leaf[layer] if path.startswith("blocks/") else leaf).flat[-1] = np.nan
    return model.replace(params)


@contextlib.contextmanager
def on_disk(model, path, layer):
    """The model with NaN in a tensor of its file, for as long as it lasts."""
    info = model.source._tensor(path, layer)
    with info.file.open("rb+") as file:
        file.seek(info.offset)
        before = file.read(4)
        file.seek(info.offset)
        file.write(np.float32(np.nan).tobytes())
        file.flush()
        yield jp.load(model.folder)
        file.seek(info.offset)
        file.write(before)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_looked_at_however_it_is_read(name, tiny_folder, tmp_path):
    shutil.copytree(tiny_folder(name), tmp_path / "model")
    model = jp.load(tmp_path / "model")
    last = model.config.n_layers - 1
    paths = list(flatten_dict(model.params, sep="/"))
    shards = (tmp_path / str(number) for number in itertools.count())
    for path in paths:
        refused = (
            f"^{path.replace('blocks/', f'layer {last}, ')}: contains NaN or infinity; expected"
        )
        with on_disk(model, path, last) as from_files:
            for kind in (from_files, in_memory(model, path, last)):
                of_it = [read for parts, read in reads(kind, shards) if is_below(path, parts)]
                assert of_it
                for read in of_it:
                    with pytest.raises(jp.InputError, match=refused):
                        read()
    for path in (paths[0], paths[-1], "blocks/mlp/out/kernel"):
        with pytest.raises(jp.InputError, match=f"{path.replace('blocks/', '')}: contains NaN"):
            jp.export_hf(model, in_memory(model, path, last).params, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def is_below(path, parts):
    return any(re.match(rf"{part}(/|$)", path) for part in parts.split())


def test_a_dead_feature_is_no_fault_and_a_dead_site_is(tiny_folder):
    model = jp.load(tiny_folder("xglm"))
    tokens = np.arange(12, dtype=np.int32).reshape(2, 6)
    batch = jp.Batch(tokens, tokens >= 0, "translation", np.arange(2, dtype=np.int32))
    params = jax.tree.map(np.copy, model.params)
    for name in ("scale", "bias"):
        params["blocks"]["mlp_norm"][name][1, 5:] = 0
    stats = jp.probe(model.replace(params), [batch], progress=False)
    assert np.count_nonzero(stats.sum_sq["translation"]["mlp_in"][1]) == 5
    for name in ("scale", "bias"):
        params["blocks"]["mlp_norm"][name][1] = 0
    with pytest.raises(jp.InputError, match=r"^layer 1, site mlp_in: no activation differs from 0"):
        jp.probe(model.replace(params), [batch], progress=False)
    dead = jax.tree.map(np.copy, stats.sum_sq)
    dead["translation"]["qkv"][2] = 0
    broken = stats_from_squares(dead, stats.count, stats.sites)
    settings = Settings(propagate="dense")
    with pytest.raises(jp.InputError, match=r"^layer 2, site qkv: no activation differs from 0"):
        next(jp.prune_blocks(model, [batch], settings, stats=broken, progress=False))
