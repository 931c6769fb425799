"""What a model says and which weights are kept, in float32 and bfloat16: the same steps on CPU and device."""

import numpy as np

from on_device.job import DTYPES, SPARSITY


def logits(job, side, model):
    """Logits of some places of the texts."""
    import jax

    from jaxprune.models.model import forward
    from jaxprune.stats.blocks import converted

    opened = job.open(model)
    tokens = np.array(job.inputs(model)["texts"], np.int32)
    places = np.linspace(0, tokens.shape[1] - 1, job.sizes["places"], dtype=int)
    found = {}
    for dtype in DTYPES:
        config = opened.config_in(dtype)

        def as_multiplied(leaf, dtype=dtype):
            return jax.device_put(converted(leaf, dtype))

        def call(params, config=config):
            with jax.default_matmul_precision("float32"):  # as in the package's own passes
                return forward(config, params, tokens)[:, places]

        params = jax.tree.map(as_multiplied, opened.params)
        found[dtype] = np.asarray(jax.jit(call)(params))
        del params
    np.savez(job.arrays(side, "logits", model), **found)
    return {"shape": list(found[DTYPES[0]].shape)}


def scores(job, side, model):
    """Log-probabilities of the texts' tokens, by the passes that evaluate models."""
    from jaxprune.evaluation.scoring.scorer import Scorer

    opened, texts = job.open(model), job.inputs(model)["texts"]
    found = {}
    for dtype in DTYPES:
        rows = Scorer(opened, dtype=dtype, progress=False)(texts)
        found[dtype] = np.concatenate([row.log_probabilities for row in rows])
    np.savez(job.arrays(side, "scores", model), **found)
    return {"tokens": len(found[DTYPES[0]])}


def masks(job, side, model):
    """Keep masks of all layers; of a device also whether they are the same again, and on all devices."""
    import jax

    from jaxprune.devices.sharding import device_mesh

    opened, samples = job.open(model), np.array(job.inputs(model)["few_samples"])
    count = jax.local_device_count()
    found, twice, on_all = {}, {}, {}
    for dtype in DTYPES:
        bits = _bits(opened, samples, dtype, device_mesh(1 if side == "device" else -1))
        found |= {f"{dtype}/{path}": packed for path, packed in bits.items()}
        if side == "device":
            twice[dtype] = _equal(bits, _bits(opened, samples, dtype, device_mesh(1)))
        if side == "device" and count > 1:
            on_all[dtype] = _equal(bits, _bits(opened, samples, dtype, device_mesh()))
    np.savez(job.arrays(side, "masks", model), **found)
    return {"devices": count, "same_twice": twice, "same_on_all": on_all}


def _bits(opened, samples, dtype, mesh):
    from jaxprune.data.ready_tokens import samples_of
    from jaxprune.models.packed_masks import PackedMasks
    from jaxprune.pruning.loop import prune_blocks
    from jaxprune.pruning.settings import Settings
    from jaxprune.stats.grouping import grouped

    settings = Settings(sparsity=SPARSITY, dtype=dtype)
    blocks = prune_blocks(
        opened, grouped([samples_of(samples)]), settings, mesh=mesh, progress=False
    )
    return PackedMasks.stack([PackedMasks.of(block.keep) for block in blocks]).bits


def _equal(one, other):
    return all(np.array_equal(one[path], other[path]) for path in one)
