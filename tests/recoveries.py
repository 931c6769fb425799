"""Recoveries of tiny models, in memory and as configs."""

import jaxprune as jp
from jaxprune.config.validate import base_config, validate

RATE, EPOCHS = 3e-3, 5


def recovered(folder, tokens, **how):
    """The dense model, its samples, the pruned and the recovered result."""
    model, batches = jp.load(folder), jp.token_batches(str(tokens))
    pruned = jp.prune(model, batches, sparsity=0.5, progress=False)
    how = {"learning_rate": RATE, "epochs": EPOCHS, "batch": 100} | how
    return model, batches, pruned, jp.recover(model, pruned, batches, progress=False, **how)


def job(model, tokens, **fields):
    config = base_config()
    config.model = str(model)
    config.calibration.kind = "tokens"
    config.calibration.data = str(tokens)
    config.pruning.sparsity = 0.5
    config.recovery.learning_rate = RATE
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in fields.items()})
    return validate(config)


class CrashError(Exception):
    """Stands for whatever ends a process."""


def after(count, function):
    """A function that can be called so many times, then crashes."""
    calls = iter(range(count))

    def limited(*arguments):
        if next(calls, None) is None:
            raise CrashError
        return function(*arguments)

    return limited
