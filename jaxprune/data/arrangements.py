"""Lines of aligned texts → the sentences of each sample, and its prompt."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from jaxprune.base.errors import InputError
from jaxprune.data.languages import language

# The sentences of each sample, in order: (side, line), with side 0 for the source and 1 for the target.
Arranged = Int[np.ndarray, "samples sentences 2"]


def sample_lines(
    lines: int, role: str, shots: int, samples: int, seed: int, compat: str
) -> Int[np.ndarray, "samples shots"]:
    """The lines of each sample.

        shots 4, official translation    0 1 2 3 | 5 6 7 8 | 10 11 12 13 | …   line 4, 9, … unused
        otherwise                        0 1 2 3 | 4 5 6 7 |  8  9 10 11 | …   of a permutation

    The permutation is `np.random.default_rng(seed).permutation(lines)`, as in the library `datasets`, which
    shuffles the authors' monolingual sentences.

    Raises:
      InputError: too few lines; reports how many samples they make.
    """
    gap = _gap(role, compat)
    order = np.arange(lines) if gap else np.random.default_rng(seed).permutation(lines)
    fit = samples_of(lines, role, shots, compat)
    if samples > fit:
        raise InputError(
            f"{lines} lines make {fit} samples of {shots} shots, not {samples}; "
            f"set calibration.samples up to {fit}"
        )
    first = np.arange(samples)[:, None] * (shots + gap)
    return order[first + np.arange(shots)]


def samples_of(lines: int, role: str, shots: int, compat: str) -> int:
    """The number of samples that lines make."""
    gap = _gap(role, compat)
    return (lines + gap) // (shots + gap)


def _gap(role: str, compat: str) -> int:
    return int(compat == "official" and role == "translation")


def alone(lines: Int[np.ndarray, "samples shots"]) -> Arranged:
    """Sentences of the source."""
    return np.stack([np.zeros_like(lines), lines], axis=-1)


def paired(lines: Int[np.ndarray, "samples shots"]) -> Arranged:
    """Each sentence is followed by its translation."""
    return _alternating(lines, lines)


def shuffled(lines: Int[np.ndarray, "samples shots"]) -> Arranged:
    """As `paired`, but with the translations of the next sample."""
    return _alternating(lines, np.roll(lines, -1, axis=0))


def apart(lines: Int[np.ndarray, "samples shots"]) -> Arranged:
    """The same sentences as in `paired`: the first half of the samples in the source, the second in the target.

    The middle one of an odd number of samples begins in the source and ends in the target, with other lines.
    """
    sides = [np.stack([np.full(lines.size, side), lines.ravel()], axis=-1) for side in (0, 1)]
    return np.concatenate(sides).reshape(len(lines), -1, 2)


def _alternating(
    source: Int[np.ndarray, "samples shots"], target: Int[np.ndarray, "samples shots"]
) -> Arranged:
    lines = np.stack([source, target], axis=-1)
    sides = np.broadcast_to(np.arange(2), lines.shape)
    return np.stack([sides, lines], axis=-1).reshape(len(source), -1, 2)


def prompts(
    texts: Sequence[Sequence[str]], codes: Sequence[str], arranged: Arranged, eos: str
) -> list[str]:
    """The text of each sample: "{Language}: {sentence}{eos}" for every sentence."""
    names = [language(code).name for code in codes]
    return [
        "".join(f"{names[side]}: {texts[side][line]}{eos}" for side, line in sample)
        for sample in arranged
    ]
