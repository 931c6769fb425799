"""Two runs → did they evaluate the same, as far as both say what they evaluated?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison.compare_json import EvaluatedRun, Sides
from jaxprune.ledger import shortened


def differing_dtypes(runs: Sides[EvaluatedRun]) -> dict[str, Sides[str]] | None:
    """The dtypes of the evaluations that the runs made in different ones, by folder; None where there are none.

    Raises:
      InputError: an evaluation that both have differs in anything else, such as the tokenizer or a language's text.
        `compare` checks the protocols of tasks, and each row by itself, as runs may have different ones.
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
    """Refuses a value that both have and that differs; a key such as "content fr" is of one language.

    Raises:
      InputError: names the evaluation, the language and the value.
    """
    for key in keys:
        if key in a and key in b and a[key] != b[key]:
            what, _, code = key.partition(" ")
            raise InputError(
                f"{evaluation}{code and f'/{code}'}: {what} {shortened(a[key])} in A and {shortened(b[key])} in B; "
                "expected the same in both"
            )
