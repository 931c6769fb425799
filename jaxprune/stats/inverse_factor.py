"""The inverse of a Gram matrix as a product of triangular matrices, which second-order updates need."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

# Share of the mean of the diagonal of a Gram matrix that is added before it is factored, as in the code of SparseGPT.
DAMPING = 0.01
# Inputs of a block whose weights a second-order update compensates together, and of a matrix that LAPACK factors.
BLOCK = 128
_RAISES = 3  # times that the damping is raised tenfold at most


def inverse_factor(gram: Float[Array, "in in"], tokens: Float[Array, ""]) -> tuple[Array, Array]:
    """The upper triangle U, float32 [in, in], with (H + damping)⁻¹ = Uᵀ U, and the damping.

    H is 2/tokens · gram, with 1 on the diagonal for features that are always 0. The damping is raised tenfold while
    H has no Cholesky factor, at most three times, and is then NaN.
    """
    hessian = gram * (2 / tokens)
    diagonal = jnp.diag(hessian)
    hessian += jnp.diag(jnp.where(diagonal == 0, 1.0, 0.0))
    mean = jnp.mean(jnp.where(diagonal == 0, 1.0, diagonal))

    def fails(state: tuple[Array, Array]) -> Array:
        raises, root = state
        return ~jnp.isfinite(root).all() & (raises <= _RAISES)

    def raised(state: tuple[Array, Array]) -> tuple[Array, Array]:
        damping = DAMPING * 10.0 ** state[0]
        return state[0] + 1, _inverse_root(hessian + damping * mean * jnp.eye(len(gram)))

    tries, root = lax.while_loop(fails, raised, (jnp.int32(0), jnp.full_like(gram, jnp.nan)))
    damping = DAMPING * 10.0 ** (tries - 1)
    return root, jnp.where(jnp.isfinite(root).all(), damping, jnp.nan)


def _inverse_root(matrix: Float[Array, "in in"]) -> Float[Array, "in in"]:
    """The upper triangle U with matrix⁻¹ = Uᵀ U, that is, R⁻¹ with matrix = R Rᵀ; not finite without such a triangle.

    By halves, so most operations are products. LAPACK gets small matrices only, on which it starts no threads: on a
    busy CPU its threads wait for each other, up to a thousand times as long as they compute.
    """
    size = len(matrix)
    if size <= BLOCK:
        root = jnp.linalg.cholesky(matrix[::-1, ::-1])[::-1, ::-1]
        return jax.scipy.linalg.solve_triangular(root, jnp.eye(size))
    half = -(-size // 2 // BLOCK) * BLOCK
    last = _inverse_root(matrix[half:, half:])
    across = matrix[:half, half:] @ last.T
    first = _inverse_root(matrix[:half, :half] - across @ across.T)
    zeros = jnp.zeros((size - half, half))
    return jnp.block([[first, -first @ across @ last], [zeros, last]])
