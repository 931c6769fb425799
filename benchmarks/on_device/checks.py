"""What two sides answered → rows: what was compared, how far apart it is, what is allowed."""

import functools
import math

import numpy as np

from on_device.job import DTYPES

# Relative errors. Products of float32 whose factors are rounded to TF32 or bfloat16 on the way miss the first; products
# of bfloat16 themselves differ in the third digit. Where bfloat16 alone makes more of a difference on the CPU, as with
# the outliers of real models, twice that is allowed.
ERROR = {"float32": 1e-4, "bfloat16": 5e-2}
# Shares of weights that both keep or both drop: a norm that is a little off moves a few weights across the threshold.
# In bfloat16 both sides need be no nearer to each other than the CPU's bfloat16 is to its float32.
AGREE = {"float32": 0.9999, "bfloat16": 0.99}
WHAT = {"logits": "logits", "scores": "log-probabilities"}


def compared(job, model):
    """The rows of one model.

    Returns:
      [{"what", "value", "allowed", "passed"}]; a row without "allowed" is there to be compared with the others. Where
      a side has no answer, "error" in place of a value.
    """
    rows = []
    for step, what in WHAT.items():
        rows += _guarded(what, lambda step=step, what=what: _errors(job, model, step, what))
    rows += _guarded("same weights kept", lambda: _masks(job, model))
    rows += _guarded("the same masks", lambda: _repeats(job, model))
    return rows + _guarded("log-probabilities, torch", lambda: _torch(job, model))


def _guarded(what, rows):
    """The rows, or one that says why there are none; none where the steps say so themselves."""
    try:
        return rows()
    except FileNotFoundError:
        return []
    except Exception as error:  # an answer of another shape, a broken file
        return [{"what": what, "error": f"{type(error).__name__}: {error}"[:300]}]


def _row(what, value, allowed=None, at_least=False):
    """A NaN passes nothing; JSON has none, so its value is None."""
    row = {"what": what, "value": float(value) if math.isfinite(value) else None}
    if allowed is None:
        return row
    passed = value >= allowed if at_least else value <= allowed
    return row | {"allowed": allowed, "at_least": at_least, "passed": bool(passed)}


def relative_error(found, expected, centred=False):
    """‖found - expected‖ / ‖expected‖, in float64; with `centred` over ‖expected - its mean‖.

    Log-probabilities of a large vocabulary are all about as large, so that against their norm any error is small.
    """
    found, expected = (np.asarray(x, np.float64) for x in (found, expected))
    if found.shape != expected.shape:
        raise ValueError(f"shapes {found.shape} and {expected.shape}")
    size = expected - expected.mean() if centred else expected
    return np.linalg.norm(found - expected) / np.linalg.norm(size)


def agreement(one, other):
    """The share of bits that are equal in two packed masks, path → bytes; a few bits that fill up bytes count too."""
    if one.keys() != other.keys():
        raise ValueError("masks of other kernels")
    apart = sum(int(np.bitwise_count(one[path] ^ other[path]).sum()) for path in one)
    return 1 - apart / (8 * sum(bits.size for bits in one.values()))


@functools.cache  # of what is there; a file that is missing is looked for again
def _errors(job, model, step, what):
    """Against float32 on the CPU, which bfloat16 on the CPU is held against too, to know what rounding alone does."""
    cpu, device = (_arrays(job, side, step, model) for side in ("cpu", "device"))
    error = functools.partial(relative_error, expected=cpu["float32"], centred=step == "scores")
    on_cpu = error(cpu["bfloat16"])
    allowed = ERROR | {"bfloat16": max(ERROR["bfloat16"], 2 * on_cpu)}
    rows = [
        _row(f"{what}, {dtype}, against float32 on the CPU", error(device[dtype]), allowed[dtype])
        for dtype in DTYPES
    ]
    return [*rows, _row(f"{what}, bfloat16 on the CPU, against float32 there", on_cpu)]


@functools.cache
def _masks(job, model):
    cpu, device = (_packed(_arrays(job, side, "masks", model)) for side in ("cpu", "device"))
    on_cpu = agreement(cpu["bfloat16"], cpu["float32"])
    allowed = AGREE | {"bfloat16": min(AGREE["bfloat16"], on_cpu)}
    rows = [
        _row(
            f"same weights kept, {dtype}, as in {dtype} on the CPU",
            agreement(device[dtype], cpu[dtype]),
            allowed[dtype],
            at_least=True,
        )
        for dtype in DTYPES
    ]
    across = agreement(device["bfloat16"], cpu["float32"])
    return [
        *rows,
        _row("same weights kept, bfloat16, as in float32 on the CPU", across),
        _row("same weights kept, bfloat16 on the CPU, as in float32 there", on_cpu),
    ]


def _arrays(job, side, step, model):
    with np.load(job.arrays(side, step, model)) as file:
        return dict(file)


def _packed(arrays):
    """Dtype → kernel path → packed mask."""
    return {
        dtype: {
            name.removeprefix(f"{dtype}/"): bits
            for name, bits in arrays.items()
            if name.startswith(f"{dtype}/")
        }
        for dtype in DTYPES
    }


def _repeats(job, model):
    """Bits are equal or not: 1 or 0, and 1 is what is allowed."""
    found = job.result(f"device.masks.{model}")
    if found is None or "error" in found:
        return []
    where = {
        "when pruned again": found["same_twice"],
        f"on {found['devices']} devices": found["same_on_all"],
    }
    return [
        _row(f"the same masks to the bit {how}, {dtype}", same, 1, at_least=True)
        for how, by_dtype in where.items()
        for dtype, same in by_dtype.items()
    ]


@functools.cache
def _torch(job, model):
    ours, theirs = (_arrays(job, side, "questions", model) for side in ("device", "torch"))
    error = relative_error(ours["scores"], theirs["scores"], centred=True)
    what = "log-probabilities, bfloat16, against torch's in bfloat16 on the device"
    return [_row(what, error, ERROR["bfloat16"])]
