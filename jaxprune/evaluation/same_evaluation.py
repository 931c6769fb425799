"""Two evaluations → check that they evaluated the same inputs, as far as both recorded them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jaxprune.base.errors import InputError
from jaxprune.base.workdir.differences import shortened
from jaxprune.evaluation.evaluation import Evaluation
from jaxprune.evaluation.identity import IDENTITY


def check_same(base: Evaluation, run: Evaluation) -> None:
    """Rejects runs that evaluated other inputs, such as a language's text or the tokenizer, unless a run is smaller.

    Raises:
      InputError: names the evaluation, the language and the value.
    """
    may_differ = {"dtype", "languages"}
    if base.is_smaller or run.is_smaller:
        may_differ.add("tokenizer")
    for name, a, b in _identities(base, run):
        _check_equal((base, run), name, a, b, [key for key in a if key not in may_differ])
        ours, theirs = (one.parts[name].facts for one in (base, run))
        _check_equal((base, run), name, ours, theirs, ["protocol", "labels"])


def dtype_notes(base: Evaluation, run: Evaluation) -> Iterator[str]:
    """A note for each evaluation whose dtypes differ."""
    for name, a, b in _identities(base, run):
        if "dtype" in a and "dtype" in b and a["dtype"] != b["dtype"]:
            yield (
                f"{name}: {base.name} was evaluated in {a['dtype']}, {run.name} in {b['dtype']}; "
                "the changes include the effect of rounding."
            )


def other_tokenizer(base: Evaluation, run: Evaluation) -> bool:
    """Whether the tokenizers of an evaluation differ."""
    pairs = ((a.get("tokenizer"), b.get("tokenizer")) for _, a, b in _identities(base, run))
    return any(None not in pair and pair[0] != pair[1] for pair in pairs)


def _identities(
    base: Evaluation, run: Evaluation
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Name and identities of the evaluations that both have."""
    for name in sorted(base.parts.keys() & run.parts.keys()):
        a, b = (one.parts[name].facts.get(IDENTITY, {}) for one in (base, run))
        yield name, a, b


def _check_equal(
    runs: tuple[Evaluation, Evaluation],
    evaluation: str,
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    keys: Iterable[str],
) -> None:
    """Rejects different values of a key that both have; a key such as "content fr" is of one language."""
    for key in keys:
        if None not in (a.get(key), b.get(key)) and a[key] != b[key]:
            kind, _, code = key.partition(" ")
            values = (
                f"{shortened(of[key])} in {run.name}" for of, run in zip((a, b), runs, strict=True)
            )
            raise InputError(
                f"{evaluation}{code and f'/{code}'}: {kind} {' and '.join(values)}; expected the same in both"
            )
