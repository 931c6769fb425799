"""Orbax checkpoints: what goes in comes out, on any number of devices, or not at all."""

import gc
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import orbax.checkpoint as ocp
import pytest
from device_jobs import on_eight_devices, sharded_params
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import NamedSharding, PartitionSpec
from known_stats import stats_from_squares

import jaxprune as jp
from jaxprune.data.batches import SetKey
from jaxprune.devices.sharding import device_mesh, replicated
from jaxprune.steps import checkpoint

STATS_SITES = (("attention/query/kernel", "qkv"), ("mlp/out/kernel", "mlp_out"))


def params():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 6, 5)).astype(np.float32)
    kernel[0, 0, 0] = -0.0
    return {
        "embed": {"tokens": rng.normal(size=(9, 6)).astype(ml_dtypes.bfloat16)},
        "blocks": {"mlp": {"up": {"kernel": kernel, "bias": np.float16(kernel[:, 0])}}},
        "head": {"norm": {"scale": np.full(6, np.nan, np.float32)}},
    }


def masks():
    rng = np.random.default_rng(1)
    return {"blocks": {"mlp": {"up": {"kernel": rng.random((3, 6, 5)) < 0.5}}}}


METADATA = {"digests": {"masks": "0f"}, "config": {"seed": 3, "revision": None}, "list": [1, 2.5]}


def assert_bits(got, want):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert isinstance(one, np.ndarray)
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()


def test_round_trip(tmp_path):
    checkpoint.save(tmp_path / "c", params=params(), masks=masks(), metadata=METADATA)
    restored = jp.checkpoint.restore(tmp_path / "c")
    assert_bits(restored.params, params())
    assert_bits(restored.masks, masks())
    assert restored.metadata == METADATA
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_threads_save_at_the_same_time(tmp_path):
    def save(i):
        checkpoint.save(tmp_path / str(i), params={"a": np.full(9, i)})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, range(20)))
    for i in range(20):
        assert_bits(checkpoint.restore(tmp_path / str(i)).params, {"a": np.full(9, i)})


def test_home_is_expanded_in_both_directions(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    checkpoint.save("~/c", masks=masks())
    assert_bits(checkpoint.restore("~/c").masks, masks())
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_parts_that_were_not_saved_are_none(tmp_path):
    checkpoint.save(tmp_path / "masks", masks=masks())
    checkpoint.save(tmp_path / "params", params=params())
    only_masks, only_params = (checkpoint.restore(tmp_path / n) for n in ("masks", "params"))
    assert only_masks.params is None
    assert only_masks.metadata == only_params.metadata == {}
    assert only_params.masks is None
    assert_bits(only_masks.masks, masks())
    assert_bits(only_params.params, params())


def test_arrays_of_jax_and_packed_masks_are_the_same_checkpoint(tmp_path):
    on_device = jax.tree.map(jnp.asarray, params())
    packed = jp.masks.pack(jax.tree.map(jnp.asarray, masks()))
    checkpoint.save(tmp_path / "c", params=on_device, packed_masks=packed)
    restored = checkpoint.restore(tmp_path / "c")
    assert_bits(restored.params, params())
    assert_bits(restored.masks, masks())


def test_restored_by_a_tree_of_shardings(tmp_path):
    checkpoint.save(tmp_path / "c", params=params(), masks=masks())
    whole = replicated(device_mesh())
    restored = checkpoint.restore(tmp_path / "c", sharding=jax.tree.map(lambda _: whole, params()))
    assert all(leaf.sharding == whole for leaf in jax.tree.leaves(restored.params))
    assert_bits(jax.device_get(restored.params), params())
    assert_bits(restored.masks, masks())  # stay on the host


def tree_with(path, sharding):
    """A tree of shardings with another one at a path."""
    flat = flatten_dict(jax.tree.map(lambda _: replicated(device_mesh()), params()), sep="/")
    return unflatten_dict(flat | {path: sharding}, sep="/")


def five_axes():
    return NamedSharding(device_mesh(), PartitionSpec(None, None, None, None, "data"))


UP = "blocks/mlp/up/kernel"


@pytest.mark.parametrize(
    ("sharding", "message"),
    [
        (device_mesh, r"\S+: got Mesh\(.*; expected a jax.sharding.Sharding, or a tree"),
        (dict, r"\S+: expected a tree like the parameters"),
        (lambda: tree_with(UP, "data"), f"{UP}: got 'data'; expected a jax.sharding.Sharding"),
        (
            lambda: tree_with("blocks/a", replicated(device_mesh())),
            "blocks/a: expected a tree like",
        ),
        (lambda: tree_with(UP, five_axes()), rf"{UP}: got Named.* the shape \(3, 6, 5\) even"),
    ],
)
def test_a_sharding_that_does_not_fit_is_refused_in_one_line(sharding, message, tmp_path, capfd):
    """And without words of threads that read on after one of them failed."""
    checkpoint.save(tmp_path / "c", params=params())
    capfd.readouterr()
    for _ in range(3):
        with pytest.raises(jp.InputError, match=f"^sharding: {message}"):
            checkpoint.restore(tmp_path / "c", sharding=sharding())
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_saved_on_eight_devices_restored_on_one_and_the_reverse(tmp_path):
    assert jax.device_count() == 1
    checkpoint.save(tmp_path / "one", params=sharded_params())
    on_eight_devices("checkpoints", tmp_path / "one", tmp_path / "eight")
    restored = checkpoint.restore(tmp_path / "eight")
    assert restored.metadata == {"devices": 8}
    assert_bits(restored.params, jax.device_get(sharded_params()))


def test_masks_take_one_bit_a_weight_on_disk(tmp_path):
    keep = np.random.default_rng(0).random((2, 1024, 512)) < 0.5  # random bits: nothing compresses
    checkpoint.save(tmp_path / "c", masks={"blocks": {"kernel": keep}})
    size = sum(file.stat().st_size for file in (tmp_path / "c").rglob("*") if file.is_file())
    assert keep.size / 8 <= size <= keep.size / 8 * 1.05 + 20_000
    np.testing.assert_array_equal(
        checkpoint.restore(tmp_path / "c").masks["blocks"]["kernel"], keep
    )


def test_a_new_checkpoint_replaces_the_old_one(tmp_path):
    checkpoint.save(tmp_path / "c", params=params(), masks=masks())
    with pytest.raises(jp.InputError, match="c: already exists"):
        checkpoint.save(tmp_path / "c", masks=masks(), metadata=METADATA)
    checkpoint.save(tmp_path / "c", masks=masks(), metadata=METADATA, overwrite=True)
    restored = checkpoint.restore(tmp_path / "c")
    assert restored.params is None
    assert restored.metadata == METADATA


def test_a_save_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "c", params=params(), metadata=METADATA)

    async def full(*_, **__):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(ocp.PyTreeCheckpointHandler, "async_save", full)
        zeros = jax.tree.map(np.zeros_like, params())
        with pytest.raises(OSError, match="no space left"):
            checkpoint.save(tmp_path / "c", params=zeros, overwrite=True)
        with pytest.raises(OSError, match="no space left"):
            checkpoint.save(tmp_path / "never", params=params())
    assert_bits(checkpoint.restore(tmp_path / "c").params, params())
    with pytest.raises(jp.InputError, match="never: no complete checkpoint"):
        checkpoint.restore(tmp_path / "never")
    checkpoint.save(tmp_path / "never", params=params())  # nothing is in the way of another try
    assert_bits(checkpoint.restore(tmp_path / "never").params, params())


def test_what_is_no_whole_checkpoint(tmp_path):
    (tmp_path / "file").touch()
    checkpoint.save(tmp_path / "unfinished", params=params())
    (tmp_path / "unfinished" / "_CHECKPOINT_METADATA").unlink()  # Orbax writes it last
    for name in ("nothing", "file", "unfinished"):
        for read in (checkpoint.restore, checkpoint.restore_stats):
            with pytest.raises(jp.InputError, match=f"{name}: no complete checkpoint"):
                read(tmp_path / name)


def test_statistics_round_trip(tmp_path):
    rng = np.random.default_rng(2)
    tokens = {
        SetKey("translation", "fr"): 6,
        SetKey("translation", "sw"): 5,
        SetKey("code"): 2**40,
    }
    sums = {key: {site: rng.random((3, 4)) for site in ("qkv", "mlp_out")} for key in tokens}
    stats = stats_from_squares(sums, tokens, STATS_SITES)
    checkpoint.save_stats(tmp_path / "stats", stats)
    restored = checkpoint.restore_stats(tmp_path / "stats")
    assert list(restored.sums) == list(stats.sums)
    for key, by_site in restored.sums.items():
        assert_bits(by_site, stats.sums[key])
    assert restored.tokens == tokens
    assert restored.sites == stats.sites
    assert restored.languages == {"translation": {"fr": 6, "sw": 5}}
    merged = restored.merge(stats)  # what is restored is of the same model
    double = (2 * sums[SetKey("code")]["qkv"]).astype(np.float32)
    np.testing.assert_array_equal(merged.sum_sq["code"]["qkv"], double)
