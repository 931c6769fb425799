"""The paths of fused kernels: flash attention of cuDNN on NVIDIA GPUs, splash attention on TPUs.

They support rows of one sequence each, without a prefix. Neither supports ALiBi, whose bias becomes additional features
of queries and keys.
"""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jaxtyping import Array, Float

from jaxprune.models.attention.scoring import Prefix, Scoring
from jaxprune.models.positions import Tree

# Additional features for ALiBi: products of three digits of a position and three parts of a slope.
ALIBI_FEATURES = 9
_BASE = 256
# For queries and for keys: lanes of a TPU, and the largest block of the kernel.
_LANES, _BLOCK = 128, 512


def by_cudnn(
    q: Array,
    k: Array,
    v: Array,
    prefix: Prefix | None,
    *,
    scoring: Scoring,
    window: int | None,
    tree: Tree | None,
) -> Float[Array, "B T N H"]:
    """Flash attention of cuDNN; result in the dtype of the products, bfloat16."""
    del prefix, tree
    features = q.shape[-1]
    q, k = with_alibi(q, k, scoring.slopes)
    # cuDNN requires equal numbers of features, multiples of 8
    width = -(-q.shape[-1] // 8) * 8
    q, k, v = (_filled(x, 3, width) for x in (q, k, v))
    local = None if window is None else (window - 1, 0)
    out = jax.nn.dot_product_attention(
        q, k, v, scale=1.0, is_causal=True, local_window_size=local, implementation="cudnn"
    )
    return out[..., :features]


def by_splash(
    q: Array,
    k: Array,
    v: Array,
    prefix: Prefix | None,
    *,
    scoring: Scoring,
    window: int | None,
    tree: Tree | None,
) -> Float[Array, "B T N H"]:
    """Splash attention, which skips blocks of keys that no query sees; result in the dtype of the products."""
    # a slow import, only needed on TPUs
    from jax.experimental.pallas.ops.tpu import splash_attention as splash

    del prefix, tree
    T, N = q.shape[1:3]
    blocks = -(-T // _BLOCK)
    block = -(-T // (blocks * _LANES)) * _LANES
    q, k = with_alibi(q, k, scoring.slopes)
    # padding follows all real queries
    q, k, v = (_filled(x, 1, blocks * block).transpose(0, 2, 1, 3) for x in (q, k, v))
    shape = (blocks * block,) * 2
    mask = (
        splash.CausalMask(shape) if window is None else splash.LocalMask(shape, (window - 1, 0), 0)
    )
    # the same for all products of the kernel and its gradient
    sizes = splash.BlockSizes(
        block_q=block, block_kv=block, block_q_dkv=block, block_kv_dkv=block, block_kv_dkv_compute=block,
        block_q_dq=block, block_kv_dq=block,
    )  # fmt: skip
    kernel = splash.make_splash_mha_single_device(
        splash.MultiHeadMask([mask] * N), block_sizes=sizes, attn_logits_soft_cap=scoring.softcap
    )
    # the compiler rejects bfloat16 products at the precision of float32
    with jax.default_matmul_precision(q.dtype.name):
        out = jax.vmap(kernel)(q, k, v)
    return out[:, :, :T].transpose(0, 2, 1, 3)


def with_alibi(
    q: Float[Array, "B T N H"], k: Float[Array, "B T K H"], slopes: np.ndarray | None
) -> tuple[Float[Array, "B T N F"], Float[Array, "B T K F"]]:
    """Queries and keys whose products contain slope · position of the key, to float32's precision.

    A position is a sum of three digits to base 256, a slope a sum of three bfloat16 numbers, so products of any dtype
    are exact.
    """
    if slopes is None:
        return q, k
    places = np.arange(k.shape[1])
    digits = [places // _BASE**power % _BASE for power in range(3)]
    scaled = [part * _BASE**power for power in range(3) for part in _parts(slopes)]
    query_features = np.stack(scaled, axis=-1)  # [N, F]
    key_features = np.repeat(np.stack(digits, axis=-1), 3, axis=-1)[:, None]  # [T, 1, F]

    def joined(x: Array, features: np.ndarray) -> Array:
        shape = (*x.shape[:-1], ALIBI_FEATURES)
        return jnp.concatenate([x, jnp.broadcast_to(features, shape).astype(x.dtype)], axis=-1)

    return joined(q, query_features), joined(k, key_features)


def _parts(numbers: np.ndarray) -> list[np.ndarray]:
    """float32 numbers as a sum of three bfloat16 numbers."""
    parts = []
    for _ in range(3):
        parts.append(numbers.astype(ml_dtypes.bfloat16).astype(np.float32))
        numbers = numbers - parts[-1]
    return parts


def _filled(x: Array, axis: int, size: int) -> Array:
    """Zeros at the end of an axis, up to a size."""
    widths = [(0, size - x.shape[i] if i == axis else 0) for i in range(x.ndim)]
    return jnp.pad(x, widths)
