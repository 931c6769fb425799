"""The pictures and the numbers of pages on real models, from the scores in studies/: python docs/figures/studies.py."""

import csv
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxprune.charts import Chart, Estimate, grid, interval_chart, write_png
from jaxprune.evaluation.scoring.metrics import holm
from jaxprune.sweeps import rebuild
from jaxprune.sweeps.tables_json import PerplexityRow, PerplexityTables, SweepTables

FIGURES = Path(__file__).parent
PAGES = [FIGURES.parent / name for name in ("real_models.md", "guide/choose.md")]
STUDIES = FIGURES.parents[1] / "studies"
NAMES = {
    "monolingual": "plain text",
    "translation": "translations into English",
    "translation_vs_code": "refined: translations over code",
}
# Of its samples a quarter each is in French, Russian, Chinese and Swahili.
MIXTURE = "plain text of four languages"
MIXED = "fr+ru+zh+sw"
LANGUAGES = {"en": "English", "fr": "French", "ru": "Russian", "zh": "Chinese", "sw": "Swahili"}
FOREIGN = [code for code in LANGUAGES if code != "en"]
SITES = ("qkv", "attention_out", "mlp_in", "mlp_out")  # the inputs of linear layers
# A number in the page's prose, after a comment with its name: study, then what it is.
NUMBER = re.compile(r"(<!--([a-z]+ [^>]+)-->).*?(?=<!--/-->)")
# The layers that the page compares at mlp_in, first and last.
LAYERS = {"gemma": ((1, 2), (13, 17), (3, 12)), "qwen": ((0, 5), (21, 23), (6, 20))}
Series = dict[str, dict[str, Estimate]]  # system → row → estimate


def picture(name: str, found: PerplexityTables) -> Chart:
    """Perplexity times the dense model's after calibration on each language: in that language, and in English."""
    rows = [
        row
        for row in found.variants
        if row.calibration in NAMES and not (_mixed(row) and row.calibration != "monolingual")
    ]
    charts = []
    for sparsity in sorted({row.sparsity or 0.0 for row in rows}):
        of_sparsity = [row for row in rows if row.sparsity == sparsity]
        charts += [
            _chart(_own(of_sparsity), f"{sparsity:.0%}, text in the language of the calibration"),
            _chart(_english(of_sparsity), f"{sparsity:.0%}, English text, by calibration"),
        ]
    return grid(charts, title=f"{name}: perplexity", columns=2)


def _own(rows: list[PerplexityRow]) -> Series:
    """In each language what was calibrated on it."""
    series = {_name(row): {} for row in rows}
    for row in rows:
        asked = [code for code in row.languages if code != "en"] if _mixed(row) else [row.language]
        series[_name(row)] |= {code: _estimate(row, code) for code in asked}
    return series


def _english(rows: list[PerplexityRow]) -> Series:
    """In English, by the language that was calibrated on."""
    series = {_name(row): {} for row in rows}
    for row in rows:
        series[_name(row)]["all four" if _mixed(row) else row.language] = _estimate(row, "en")
    return series


def _mixed(row: PerplexityRow) -> bool:
    return "+" in (row.language or "")


def _name(row: PerplexityRow) -> str:
    return MIXTURE if _mixed(row) else NAMES[row.calibration]


def _estimate(row: PerplexityRow, code: str) -> Estimate:
    cell = row.languages[code]
    return Estimate(cell.ratio, *(cell.interval or ()))


def _chart(series: Series, title: str) -> Chart:
    return interval_chart(
        series, title=title, unit="perplexity ÷ that of the dense model", chance=1.0
    )


def numbers(study: Path, found: SweepTables) -> dict[str, str]:
    """The numbers of a study as the page writes them, by name."""
    name = re.split(r"[^a-z]", study.name)[0]
    made = _perplexities(found) | _accuracies(found) | _premises(study) | _features(study, name)
    if any(study.glob("translation_vs_code*")):
        made |= _windows(study, "fr") | _windows(study, "ru")
    return {f"{name} {key}": text for key, text in made.items()}


def _perplexities(found: SweepTables) -> dict[str, str]:
    assert found.perplexity is not None
    rows = {row.variant: row.languages for row in found.perplexity.variants}
    made = {}
    for percent in ("30%", "50%"):
        sparsity = f"0.{percent[0]}"

        def cells(kind: str, codes=tuple(LANGUAGES), sparsity=sparsity):
            """Of each language what was calibrated on it, or the only variant there is."""
            only = rows.get(f"{kind}-{sparsity}")
            return {code: (only or rows[f"{kind}-{code}-{sparsity}"])[code] for code in codes}

        plain, magnitude = cells("monolingual"), cells("magnitude")
        for name, shown in {"plain": plain, "magnitude": magnitude}.items():
            ratios = {code: cell.ratio for code, cell in shown.items()}
            made[f"{name} rise {percent}"] = _span(ratios, _rise)
            made[f"{name} times {percent}"] = _span(ratios, _one)
        compared = {f"monolingual-{MIXED}": "mixture"} | {kind: kind for kind in [*NAMES][1:]}
        for kind, name in compared.items():
            if f"{kind}-{sparsity}" in rows or f"{kind}-fr-{sparsity}" in rows:
                other = cells(kind, FOREIGN)
                over = {c: cell.perplexity / plain[c].perplexity for c, cell in other.items()}
                made[f"{name} over plain {percent}"] = _span(over, _rise)
        for kind in ("monolingual", "translation"):
            english = {c: rows[f"{kind}-{c}-{sparsity}"]["en"].perplexity for c in FOREIGN}
            made[f"English after {kind} {percent}"] = _span(english, _one)
        made[f"English after English {percent}"] = f"{plain['en'].perplexity:.1f}"
    return made


def _accuracies(found: SweepTables) -> dict[str, str]:
    """Changes of accuracy against the dense model, of Wanda's variants."""
    rows = [row for row in found.tasks["xnli"].variants if row.calibration in NAMES]
    made = {}
    for code in ("en", "fr"):
        changes = [100 * row.languages[code].difference for row in rows if code in row.languages]
        made[f"{code} changes"] = f"{_points(max(changes))} to {_points(min(changes))}"
        made[f"{code} models"] = f"{len(changes)}"
        starred = sum(row.languages[code].significant for row in rows if code in row.languages)
        made[f"{code} significant"] = f"{starred}"
    half = [row.languages["en"] for row in rows if row.sparsity == 0.5]
    corrected = holm([cell.p.mcnemar for cell in half])
    return made | {
        "en models 50%": f"{len(half)}",
        "en significant 50%": f"{sum(cell.significant for cell in half)}",
        "en significant over all 50%": f"{sum(p <= 0.05 for p in corrected)}",
    }


Scores = Mapping[
    tuple[str, str], np.ndarray
]  # those of a variant in a language, as _by_label has them


def _premises(study: Path) -> dict[str, str]:
    """Figures of XNLI without the options' priors; intervals by resampling premises, jointly over languages."""
    files = sorted(study.glob("*/xnli/*.npz"))
    scores = {(file.parts[-3], file.stem): _by_label(file) for file in files}
    made = _options(scores)
    for code in LANGUAGES:
        share, low, high = _resampled(np.mean, 100 * _apart(scores["dense", code]))
        made[f"{code} apart"] = f"{share:.1f}% [{low:.1f}, {high:.1f}]"
    return made | (_refined(scores) if ("translation_vs_code-fr-0.5", "fr") in scores else {})


def _resampled(figure: Callable, values: np.ndarray) -> tuple[float, float, float]:
    """A figure of all premises, and its 95% interval."""
    drawn = np.random.default_rng(0).integers(0, len(values), (10_000, len(values)))
    low, high = np.percentile([figure(values[rows]) for rows in drawn], [2.5, 97.5])
    return figure(values), low, high


def _options(scores: Scores) -> dict[str, str]:
    """How often the first option is chosen in French, and the change of accuracy without the options' means."""
    dense, plain = scores["dense", "fr"], scores["monolingual-fr-0.3", "fr"]
    made = {
        "fr first option": f"{(dense.argmax(axis=2) == 0).mean():.0%}",
        "fr first option plain 30%": f"{(plain.argmax(axis=2) == 0).mean():.0%}",
    }
    for percent in ("30%", "50%"):
        changes = {
            name: _resampled(_centred, np.stack([dense, pruned], axis=1))
            for (name, code), pruned in scores.items()
            if code == "fr" and re.fullmatch(rf"(mono|trans).*0\.{percent[0]}", name)
        }
        shares = [share for share, _, _ in changes.values()]
        beyond = sum(low > 0 or high < 0 for _, low, high in changes.values())
        made[f"fr centred {percent}"] = f"{_points(max(shares))} to {_points(min(shares))}"
        made[f"fr centred beyond {percent}"] = f"{beyond} of {len(changes)}"
        if percent == "30%":
            share, low, high = map(_points, changes["monolingual-fr-0.3"])
            made["fr centred plain 30%"] = f"{share} [{low}, {high}]"
    return made


def _refined(scores: Scores) -> dict[str, str]:
    """The refined criterion against plain text, each in its own language, means over languages."""
    made = {}
    dense = np.stack([scores["dense", code] for code in FOREIGN])
    for percent in ("30%", "50%"):
        plain, refined = (
            np.stack([scores[f"{kind}-{code}-0.{percent[0]}", code] for code in FOREIGN])
            for kind in ("monolingual", "translation_vs_code")
        )
        gain = 100 * (_right(refined) - _right(plain)).mean(axis=0)
        share, low, high = _resampled(np.mean, gain)
        made[f"refined probability {percent}"] = f"{share:+z.2f} [{low:z.2f}, {high:z.2f}]"
        of_dense = _contrast(dense).mean(axis=1, keepdims=True)
        gain = 100 * ((_contrast(refined) - _contrast(plain)) / of_dense).mean(axis=0)
        share, low, high = _resampled(np.mean, gain)
        made[f"refined contrast {percent}"] = f"{share:+z.0f}% [{low:z.0f}, {high:z.0f}]"
    return {name: text.replace("-", "−") for name, text in made.items()}


def _by_label(file: Path) -> np.ndarray:
    """Scores [premise, label of the hypothesis, option]: each premise has three hypotheses, one of each label."""
    with np.load(file) as arrays:
        scores, labels = arrays["scores"].astype(np.float64), arrays["labels"].reshape(-1, 3)
    return np.take_along_axis(scores.reshape(-1, 3, 3), labels.argsort(axis=1)[..., None], axis=1)


def _right(scores: np.ndarray) -> np.ndarray:
    """By premise the mean probability of the right option."""
    odds = np.exp(scores)
    return np.einsum("...ii->...i", odds / odds.sum(axis=-1, keepdims=True)).mean(axis=-1)


def _contrast(scores: np.ndarray) -> np.ndarray:
    """By premise how far the right options' mean score is above that of all options of its hypotheses."""
    return np.einsum("...ii->...i", scores).mean(axis=-1) - scores.mean(axis=(-2, -1))


def _apart(scores: np.ndarray) -> np.ndarray:
    """By premise the share of its pairs of hypotheses whose difference between their two labels has the right sign."""
    pairs = [(0, 1), (0, 2), (1, 2)]
    gaps = [scores[:, a, a] - scores[:, a, b] - scores[:, b, a] + scores[:, b, b] for a, b in pairs]
    return np.mean([(gap > 0) + 0.5 * (gap == 0) for gap in gaps], axis=0)


def _centred(pair: np.ndarray) -> float:
    """The change of accuracy in points, dense and pruned [premise, 2, label, option], without each option's mean."""
    right = (pair - pair.mean(axis=(0, 2), keepdims=True)).argmax(axis=3) == np.arange(3)
    dense, pruned = right.mean(axis=(0, 2))
    return 100 * (pruned - dense)


def _features(study: Path, name: str) -> dict[str, str]:
    """Overlaps and largest features of the analysis."""
    made = {}
    with np.load(study / "analysis" / "overlap.npz") as arrays:
        sets = [tuple(text.split("/")) for text in arrays["sets"]]
        plain = np.array([kind == "monolingual" for kind, _ in sets])
        same = np.array([[a == b for _, b in sets] for _, a in sets])
        others = np.outer(plain, plain) & ~same
        over = {site: arrays[f"{site}/top"] for site in SITES}
        made["two languages"] = _range([share[:, others].mean() for share in over.values()])
        own = [share[:, same & ~np.eye(len(sets), dtype=bool)].mean() for share in over.values()]
        made["own translations"] = _range(own)
        made["halves"] = _range([arrays[f"{site}/halves_top"][:, plain].mean() for site in SITES])
        for first, last in LAYERS[name]:
            shares = over["mlp_in"][first : last + 1, others].mean(axis=1)
            made[f"mlp_in {first}-{last}"] = _range(shares)
    with (study / "analysis" / "largest.csv").open(encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["rank"] == "1"]
    hidden: dict[int, set[str]] = {}
    for line in lines:
        if line["site"] == "hidden":
            hidden.setdefault(int(line["layer"]), set()).add(line["feature"])
    for feature in {line["feature"] for line in lines}:
        if alone := [layer for layer, found in hidden.items() if found == {feature}]:
            made[f"{feature} hidden"] = f"{min(alone)} to {max(alone)}"
    layers = Counter(
        tuple(line[k] for k in ("feature", "site", "kind", "language")) for line in lines
    )
    return made | {" ".join(key): f"{count}" for key, count in layers.items()}


def _windows(study: Path, code: str) -> dict[str, str]:
    """How far each window's log perplexity rises after the refined criterion at 50%, above and below a gap at 1.5."""

    def by_window(variant: str) -> np.ndarray:
        text = (study / variant / "perplexity" / "metrics.json").read_text(encoding="utf-8")
        return np.array(json.loads(text)["languages"][code]["by_window"])

    rises = by_window("dense") - by_window(f"translation_vs_code-{code}-0.5")
    high = rises > 1.5
    return {
        f"{code} refined windows": f"{high.sum()} of {len(high)}",
        f"{code} refined high": f"{rises[high].min():.1f} to {rises[high].max():.1f}",
        f"{code} refined low": f"{rises[~high].min():.1f} to {rises[~high].max():.1f}",
    }


def _span(values: Mapping[str, float], write: Callable[[float], str]) -> str:
    """The lowest and highest, with their languages."""
    ends = (min(values, key=values.__getitem__), max(values, key=values.__getitem__))
    return " to ".join(f"{write(values[code])} ({LANGUAGES[code]})" for code in ends)


def _one(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _rise(ratio: float) -> str:
    percent = 100 * (ratio - 1)
    return f"{percent:z.{0 if percent >= 9.95 else 1}f}%".replace("-", "−")


def _range(shares: Sequence[float]) -> str:
    return f"{min(shares):.0%} to {max(shares):.0%}"


def _points(change: float) -> str:
    return f"{change:+.1f}".replace("-", "−")


def fill(page: str, made: Mapping[str, str]) -> str:
    """The page with its numbers as they were made."""
    return NUMBER.sub(lambda found: found[1] + made[found[2]], page)


def main() -> None:
    """Draws a picture of each study, and fills the numbers into the pages."""
    made = {}
    for study in sorted(file.parent for file in STUDIES.rglob("sweep.json")):
        with tempfile.TemporaryDirectory() as folder:  # tables are written beside the scores
            found = rebuild(Path(shutil.copytree(study, Path(folder, "sweep"))))
        assert found.perplexity is not None
        write_png(picture(study.name, found.perplexity), FIGURES / f"{study.name}.png")
        made |= numbers(study, found)
    for page in PAGES:
        page.write_text(fill(page.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
