"""A model and statistics of its inputs → masks, changed weights and pruned blocks.

**Methods.** A method prunes one kernel: (kernel, inputs, `Budget`) → `Pruned(keep, kernel or None)`. The simplest
method is a criterion, which drops the lowest scores of a column, or of the kernel with `pruning.group=kernel`.
`programs.py` compiles methods in one of two ways: columns that are pruned independently in stripes of 128 on all
devices, as a reduction over a stripe rounds identically on any device; other kernels each on one device, the most
expensive first. Quantities that all kernels of a site share, such as the Cholesky factor of SparseGPT, are computed
once per site (`Method.prepare`). `Budget` has the numbers of weights as arrays, so one compiled program serves every
sparsity, seed and layer. If the score of a weight may depend on other columns (`by_column=False`, the default for a
user's function), each device computes the scores of the full kernel.

**Changed weights.** A method that changes weights receives them as stored, in float32, and its result is rounded to
the stored dtype before it feeds the next block. Masks are applied to the weights as stored, so kept weights keep
their bits. The masks of a finished run suffice if it changed no weights; otherwise recovery and sweeps read its
`hf/`.

**Roundings.** Quantization is a method that keeps all weights and rounds them to a grid (`roundings/`); SparseGPT and
GPTQ share one loop of compensation. A rounding that must have llama.cpp's bits runs on the host, as XLA contracts
products and sums.

**Propagation.** A propagation is a list of segments, each with the sites whose kernels are pruned after it; one loop
runs them all. A finished layer's mask bits, changed weights and sums are on disk before the next one's. A resumed run
restores them and repeats the passes that compute the hidden states up to the first unfinished layer, with the same
executables.

**Selection.** Sorting floats is slow in XLA on CPUs. `selection.py` bisects over the integer representation of the
floats for the exact k-th value, then over the index for ties.
"""

from jaxprune.pruning import masks as masks
from jaxprune.pruning import scores as scores
