"""A pruned or smaller model, the dense one and samples → its kept weights, norms and biases, fitted again.

**One walk.** `windows.py` walks over the blocks with two sets of hidden states: those of the dense model, and those of
the recovered blocks. A window of consecutive blocks, by default one, is fitted so that it maps the states of the
recovered blocks to the outputs of the last dense block; it thus also corrects errors of the blocks below. The rounded
blocks compute the inputs of the next window. Windows may overlap.

**The dense model's predictions.** `distil` is one window of all blocks, fitted to the predictions of the next token
(`predictions.py`). With logits h·w_v, KL(p‖q) = E_p[log p] - h·E_p[w] + log Σ_v exp(h·w_v), so only one vector and one
number per token are kept from the dense model, which runs once. Both sums over the vocabulary are computed in slices.
With a large vocabulary they cover only the tokens of the samples, filled up to 16,384 with others at equal distances.
The blocks may be those of a smaller model; its teacher is then the dense model with the same tokens.

**One fit.** A window stacks its blocks (`stacked.py`) and calls `fit.py` with a `Loss`. A step's gradient is the
sum of the gradients of its units, the rows that share a device in a micro-batch. A separate program adds them in order,
and devices without a unit get one of zeros, so the bits do not depend on the number of devices. AdamW runs on every
device on equal masters; its steps are relative to the root mean square of each tensor, as scales of norms differ by
orders of magnitude. Every one of several processes has all samples and the same masters, and computes a share of the
units of each step. Gradients of products are defined for reverse mode here alone, so that `jp.forward` keeps both
modes.
"""
