"""Two runs → check that they evaluated the same inputs, as far as both recorded them."""

from collections.abc import Iterable, Mapping

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison.compare_json import Sides
from jaxprune.evaluation.comparison.reading import EvaluatedRun
from jaxprune.ledger import shortened


def differing_dtypes(runs: Sides[EvaluatedRun]) -> dict[str, Sides[str]] | None:
    """The dtypes of both runs by folder, where they differ; None if they are the same everywhere.

    Raises:
      InputError: an evaluation differs in another input, such as the tokenizer or a language's text. Of tasks only
        the tokenizer is checked: runs may have different rows, and `compare` checks the protocol and each shared row.
    """
    dtypes = {}
    for name in sorted(runs.a.identities.keys() & runs.b.identities.keys()):
        a, b = (run.identities[name] for run in runs)
        keys = [key for key in a if key not in ("dtype", "languages")]
        check_equal(name, a, b, ["tokenizer"] if name in runs.a.tasks else keys)
        if "dtype" in a and "dtype" in b and a["dtype"] != b["dtype"]:
            dtypes[name] = Sides(str(a["dtype"]), str(b["dtype"]))
    return dtypes or None


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
