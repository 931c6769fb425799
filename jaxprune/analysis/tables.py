"""The tables of an analysis: CSV for spreadsheets, npz for programs."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.analysis.magnitudes import over_median
from jaxprune.analysis.neurons import LanguageNeurons
from jaxprune.analysis.overlap import Overlap, largest
from jaxprune.stats.stats import ActivationStats

TOP = 20  # rows per layer and site in largest.csv, and in the pictures


def write_magnitudes(folder: Path, stats: ActivationStats) -> None:
    """Writes magnitudes.npz and largest.csv.

    The npz contains ‖X_j‖₂ as `<kind>/<language>/<site>`, float32 [L, D]; largest.csv contains the `TOP` largest
    features of every site.
    """
    arrays, rows = {}, []
    for role in stats.roles:
        rms = stats.rms(role)
        for site, norms in stats.norms(role).items():
            arrays[f"{role}/{site}"] = norms
            quotients = over_median(norms)
            for (layer, rank), j in np.ndenumerate(largest(norms, TOP)):
                values = (norms[layer, j], rms[site][layer, j], quotients[layer, j])
                rows.append((*role.split("/"), layer, site, rank + 1, j, *values))
    np.savez(folder / "magnitudes.npz", **arrays)  # type: ignore[arg-type]  # numpy's stub
    labels = ("kind", "language", "layer", "site", "rank", "feature")
    write_csv(folder / "largest.csv", (*labels, "norm", "rms", "norm_over_median"), rows)


def write_overlaps(folder: Path, sets: Sequence[str], overlaps: Mapping[str, Overlap]) -> None:
    """Writes overlap.csv, see `Overlap`; rows of halves are last."""
    rows = []
    for prefix, compared in (("", "sets"), ("halves_", "halves")):
        for site, overlap in overlaps.items():
            top, bottom = (getattr(overlap, f"{prefix}{end}") for end in ("top", "bottom"))
            if top is None:  # sets without halves
                continue
            for place in np.ndindex(*top.shape):
                layer, a, b = place if compared == "sets" else (*place, place[-1])
                pair = (*sets[a].split("/"), *sets[b].split("/"))
                shares = (top[place], bottom[place])
                rows.append((*pair, layer, site, overlap.features, *shares, compared))
    labels = ("kind_a", "language_a", "kind_b", "language_b", "layer", "site", "features")
    write_csv(folder / "overlap.csv", (*labels, "top_in_top", "top_in_bottom", "compared"), rows)


def write_neurons(folder: Path, neurons: LanguageNeurons) -> None:
    """Writes language_neurons.csv, a row for each; language_neurons_by_layer.csv, their numbers; and the npz of all.

    The npz contains the arrays of `LanguageNeurons` that have a value for each neuron, of all neurons of the model.
    """
    codes, names = neurons.languages, ("shares", "shares_error", "entropy", "members", "in_halves")
    arrays = {name: getattr(neurons, name) for name in names}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    arrays |= {"languages": codes, "threshold": neurons.threshold}
    np.savez(folder / "language_neurons.npz", **arrays)
    header = ["layer", "neuron", "entropy", "languages", "in_halves"]
    header += [f"{name}_{code}" for code in codes for name in ("share", "error")]
    rows = []
    shares_error = neurons.shares_error
    for place in zip(*np.nonzero(neurons.members.any(axis=-1)), strict=True):
        own = neurons.members[place]
        halves = None if neurons.in_halves is None else neurons.in_halves[place][own].min()
        errors = [None] * len(codes) if shares_error is None else shares_error[place]
        values = [x for pair in zip(neurons.shares[place], errors, strict=True) for x in pair]
        languages = " ".join(np.array(codes)[own])
        rows.append((*place, neurons.entropy[place], languages, halves, *values))
    write_csv(folder / "language_neurons.csv", header, rows)
    layers, errors = [*range(len(neurons.shares)), "all"], neurons.counts_error
    rows = [
        (layers[i], [*codes, "any"][j], number, None if errors is None else errors[i, j])
        for (i, j), number in np.ndenumerate(neurons.counts)
    ]
    header = ["layer", "language", "neurons", "standard_error"]
    write_csv(folder / "language_neurons_by_layer.csv", header, rows)


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table with six digits of each number; None is an empty cell."""
    import pandas  # imported late: takes half a second

    frame = pandas.DataFrame.from_records([*rows], columns=header)
    frame.to_csv(file, index=False, float_format="%.6g")
