"""What scoring and generating take at least: operations of their products, and bytes that they read.

Of pruning `roofline` knows. Attention counts what a query sees; norms and softmax count nothing.
"""

from roofline import flops

from jaxprune.evaluation.scoring.forest import pack_forests
from jaxprune.evaluation.scoring.vocabulary import predictions
from jaxprune.steps.planning import costs


def scoring(config, sequences):
    """Operations of scoring token sequences in rows of trees: blocks, attention, the vocabulary."""
    total = 0
    for forest in pack_forests(sequences, [1] * len(sequences)):
        rows, length = len(forest.tokens), forest.seen
        places = predictions(forest).places.size
        work = costs.Work(config=config, groups=((rows, length),), propagate="dense")
        # a pass of pruning leaves out the last product of the last block
        total += flops(work) + 2 * rows * length * config.d_ff * config.d_model
        total += 2 * places * config.d_model * config.vocab_size
    return total


def weights(config):
    """How many weights a pass over all blocks and the vocabulary reads: of kernels, and of the head's table."""
    kernels = costs.kernel_weights(config)
    return kernels + config.d_model * config.vocab_size


def generating(config, lengths, shared, new, itemsize):
    """(operations, bytes) of `new` tokens after each prompt, all prompts at once.

    What all prompts begin with is computed once, and its keys and values are read once a step. Bytes are those of
    kernels, of the head's table, and of keys and values.

    Args:
      config: of the model.
      lengths: of the prompts.
      shared: tokens that all of them begin with.
      new: tokens that each gets.
      itemsize: bytes of a number.
    """
    kernels = costs.kernel_weights(config)
    head = config.d_model * config.vocab_size
    ends = [length + new - 1 for length in lengths]  # the last new token enters no block
    computed = [*range(shared), *(place for end in ends for place in range(shared, end))]
    seen = sum(_keys(config, place, 0, place + 1) for place in computed)
    operations = 2 * (len(computed) * kernels + len(lengths) * new * head)
    operations += 4 * seen * config.n_heads * config.head_dim
    read = 0
    for step in range(new - 1):
        places = [length + step for length in lengths]
        read += sum(_keys(config, place, shared, place + 1) for place in places)
        read += _keys(config, min(places), 0, shared)
    cached = 2 * read * config.n_kv_heads * config.head_dim
    return operations, itemsize * (new * weights(config) + cached)


def _keys(config, place, first, stop):
    """How many of the keys first…stop-1 the query at a place sees, over all layers."""
    windows = (config.kind(layer).window or place + 1 for layer in range(config.n_layers))
    return sum(max(0, stop - max(first, place + 1 - window)) for window in windows)
