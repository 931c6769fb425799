"""Recoveries of tiny models, in memory and as configs."""

from jobs import on_tokens

import jaxprune as jp

RATE, EPOCHS = 3e-3, 5


def recovered(folder, tokens, **how):
    """The dense model, its samples, the pruned and the recovered result."""
    model, batches = jp.load(folder), jp.token_batches(str(tokens))
    pruned = jp.prune(model, batches, sparsity=0.5, progress=False)
    how = {"learning_rate": RATE, "epochs": EPOCHS, "batch": 100} | how
    return model, batches, pruned, jp.recover(model, pruned, batches, progress=False, **how)


def job(model, tokens, **fields):
    given = {"pruning__sparsity": 0.5, "recovery__learning_rate": RATE, **fields}
    return on_tokens(model, tokens, **given)
