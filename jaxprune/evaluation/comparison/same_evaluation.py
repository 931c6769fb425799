"""Two runs → check that they evaluated the same inputs, as far as both recorded them."""

from collections.abc import Iterable, Mapping

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison.compare_json import Sides
from jaxprune.evaluation.comparison.reading import EvaluatedRun
from jaxprune.ledger import shortened


def differing_dtypes(runs: Sides[EvaluatedRun]) -> dict[str, Sides[str]] | None:
    """The dtypes of both runs by folder, where they differ; None if they are the same everywhere.

    Raises:
      InputError: an evaluation differs in another input, such as a language's text or the tokenizer, unless a run is of
        a smaller model. Of tasks only the tokenizer is checked: runs may have different rows, and `compare` checks the
        protocol and each shared row.
    """
    dtypes = {}
    tokenizer = [] if runs.a.is_smaller or runs.b.is_smaller else ["tokenizer"]
    for name in sorted(runs.a.identities.keys() & runs.b.identities.keys()):
        a, b = (run.identities[name] for run in runs)
        keys = [key for key in a if key not in ("dtype", "languages", "tokenizer")]
        check_equal(name, a, b, tokenizer if name in runs.a.tasks else [*tokenizer, *keys])
        if "dtype" in a and "dtype" in b and a["dtype"] != b["dtype"]:
            dtypes[name] = Sides(str(a["dtype"]), str(b["dtype"]))
    return dtypes or None


def have_other_tokenizers(runs: Sides[EvaluatedRun]) -> bool:
    """Whether the tokenizers of an evaluation differ."""
    names = runs.a.identities.keys() & runs.b.identities.keys()
    pairs = ([run.identities[name].get("tokenizer") for run in runs] for name in names)
    return any(None not in pair and pair[0] != pair[1] for pair in pairs)


def check_equal(
    evaluation: str, a: Mapping[str, object], b: Mapping[str, object], keys: Iterable[str]
) -> None:
    """Rejects different values of a key that both have; a key such as "content fr" is of one language.

    Raises:
      InputError: names the evaluation, the language and the value.
    """
    for key in keys:
        values = a.get(key), b.get(key)
        if None not in values and a[key] != b[key]:
            what, _, code = key.partition(" ")
            raise InputError(
                f"{evaluation}{code and f'/{code}'}: {what} {shortened(a[key])} in A and {shortened(b[key])} in B; "
                "expected the same in both"
            )
