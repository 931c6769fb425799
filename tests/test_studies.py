"""docs/real_models.md against the scores in studies/: its tables, pictures and numbers are what they give."""

import csv
import importlib.util
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from run_json import read_record
from scipy.special import softmax

from jaxprune.sweeps import rebuild
from jaxprune.sweeps.tables_json import SweepTables

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "real_models.md").read_text(encoding="utf-8")
PROSE = PAGE + (ROOT / "docs" / "guide" / "choose.md").read_text(encoding="utf-8")
STUDIES = sorted(file.parent for file in (ROOT / "studies").rglob("sweep.json"))
# A line of the page that says where the table under it is from, and what it is if tables.md does not have it.
FROM = r"<!-- (studies/[^ ,]+)(?:, ([^>]+))? -->\n\n((?:\|.*\n)+)"


@pytest.fixture(scope="module", params=STUDIES, ids=lambda folder: folder.name)
def study(request, tmp_path_factory):
    """(the folder of its scores, one with tables made of them)."""
    there = tmp_path_factory.mktemp("study") / "sweep"
    shutil.copytree(request.param, there)
    rebuild(there)
    return request.param, there


def quoted(folder, what=""):
    """The page's tables of that, as they stand there."""
    name = str(folder.relative_to(ROOT))
    return [text for of, about, text in re.findall(FROM, PAGE) if (of, about) == (name, what)]


def table_of(folder, what):
    """The cells of the page's one table of that: its heading, and its rows."""
    (table,) = quoted(folder, what)
    rows = [[c.strip(" `") for c in line.split("|")[1:-1]] for line in table.splitlines()]
    return rows[0], rows[2:]


def test_tables_on_the_page_are_made_of_the_scores(study):
    folder, there = study
    made = (there / "tables.md").read_text(encoding="utf-8")
    tables = quoted(folder)
    assert len(tables) >= 4
    for table in tables:
        assert f"\n\n{table}\n" in made


def test_every_row_of_every_language_was_scored(study):
    """And accuracies are those of a plain count."""
    folder, there = study
    lines = csv.DictReader((there / "tables.csv").read_text(encoding="utf-8").splitlines())
    by_variant = {}
    for line in lines:
        if line["task"] == "xnli" and (line["table"] == "all" or line["calibration"] == "dense"):
            parts = (line["calibration"], line["calibration_language"], line["sparsity"])
            by_variant["-".join(filter(None, parts)), line["language"]] = line
    files = sorted(folder.glob("*/xnli/*.npz"))
    assert len(files) >= 55
    for file in files:
        with np.load(file) as arrays:
            scores, labels = arrays["scores"].astype(np.float64), arrays["labels"]
        assert scores.shape == (501, 3)
        line = by_variant[file.parts[-3], file.stem]
        assert float(line["accuracy"]) == pytest.approx((scores.argmax(1) == labels).mean())
        right = softmax(scores, axis=1)[np.arange(501), labels]
        assert float(line["probability"]) == pytest.approx(right.mean(), rel=1e-5)


def perplexities(folder, variant):
    """What metrics.json says, by language."""
    return json.loads((folder / variant / "perplexity" / "metrics.json").read_text())["languages"]


def test_ratios_to_plain_text(study):
    """The page's own tables, cell by cell, by scipy's paired test over windows."""
    folder, _ = study
    heading, rows = table_of(folder, "over monolingual")
    assert heading == ["", "fr", "ru", "zh", "sw"]
    found = [path.name.split("-fr-") for path in folder.glob("*-fr-*")]
    assert {row[0] for row in rows} == {
        f"{kind} {float(sparsity):.0%}" for kind, sparsity in found if kind != "monolingual"
    }
    for label, *cells in rows:
        kind, _, percent = label.partition(" ")
        for code, cell in zip(heading[1:], cells, strict=True):
            name = f"{code}-0.{percent[0]}"
            plain, other = (
                np.array(perplexities(folder, f"{one}-{name}")[code]["by_window"])
                for one in ("monolingual", kind)
            )
            test = scipy.stats.ttest_rel(plain, other)
            bounds = np.exp(test.confidence_interval(0.95))
            ratio = np.exp((plain - other).mean())
            assert cell == f"{ratio:.3f} [{bounds[0]:.3f}, {bounds[1]:.3f}]"


SITES = ("hidden", "qkv", "attention_out", "mlp_in", "mlp_out")
# Which pairs of sets, each (kind, language), a line of the page's table of overlaps is the mean of.
PAIRS = {
    "two languages, plain text": lambda a, b: a[0] == b[0] == "monolingual" and a[1] != b[1],
    "two languages, translations": lambda a, b: a[0] == b[0] == "translation" and a[1] != b[1],
    "a language and its translations": lambda a, b: a[0] != b[0] and a[1] == b[1],
    "English and translations": lambda a, b: a[1] == "en" and b[0] == "translation",
}
HALVES = {"two halves of plain text": "monolingual", "two halves of translations": "translation"}


def test_overlaps_of_large_features(study):
    folder, _ = study
    heading, rows = table_of(folder / "analysis", "overlap")
    assert heading == ["", *SITES]
    assert [row[0] for row in rows] == [*PAIRS, *HALVES]
    with np.load(folder / "analysis" / "overlap.npz") as arrays:
        sets = [tuple(name.split("/")) for name in arrays["sets"]]
        for label, *cells in rows:
            for site, cell in zip(SITES, cells, strict=True):
                if label in HALVES:
                    kept = [kind == HALVES[label] for kind, _ in sets]
                    found = arrays[f"{site}/halves_top"][:, kept]
                else:
                    kept = np.array([[PAIRS[label](a, b) for b in sets] for a in sets])
                    found = arrays[f"{site}/top"][:, kept]
                assert cell == f"{100 * found.mean(dtype=np.float64):.1f}"


def test_where_outliers_sit(study):
    folder, _ = study
    _, rows = table_of(folder / "analysis", "outliers")
    assert [row[0] for row in rows] == [*SITES]
    text = (folder / "analysis" / "largest.csv").read_text(encoding="utf-8")
    largest = [line for line in csv.DictReader(text.splitlines()) if line["rank"] == "1"]
    for site, where, times, alike in rows:
        layers = {}
        for line in largest:
            if line["site"] == site:
                found = int(line["feature"]), float(line["norm_over_median"])
                layers.setdefault(int(line["layer"]), []).append(found)
        most = max(layers, key=lambda layer: np.mean([height for _, height in layers[layer]]))
        features, heights = zip(*layers[most], strict=True)
        either = " or ".join(str(feature) for feature, _ in Counter(features).most_common())
        assert where == f"layer {most}, feature {either}"
        assert times == f"{min(heights):.0f} to {max(heights):.0f}"
        one = sum(len({feature for feature, _ in found}) == 1 for found in layers.values())
        assert alike == f"{one} of {len(layers)}"


NUMBER = r"<!--([a-z]+) ([^>]+)-->(.*?)<!--/-->"
LANGUAGES = {"en": "English", "fr": "French", "ru": "Russian", "zh": "Chinese", "sw": "Swahili"}
FOREIGN = [*LANGUAGES][1:]


def written(folder):
    """The numbers in the prose of pages that are of that study, by name."""
    return {
        name: text
        for study, name, text in re.findall(NUMBER, PROSE)
        if folder.name.startswith(study)
    }


def number(text):
    return float(text.replace("−", "-").strip("%+,[] "))


def pruned_by(folder, *kinds):
    """The variants of these calibrations."""
    return [path.name for path in folder.iterdir() if path.name.split("-")[0] in kinds]


def scores_of(folder, variant, code):
    with np.load(folder / variant / "xnli" / f"{code}.npz") as arrays:
        return arrays["scores"].astype(np.float64), arrays["labels"]


def test_every_number_in_the_prose_is_of_a_study():
    found = re.findall(NUMBER, PROSE)
    assert PROSE.count("<!--/-->") == len(found) > 80
    assert {study for study, _, _ in found} == {"gemma", "qwen"}
    assert len({*found}) == len({(study, name) for study, name, _ in found})  # the same everywhere


def test_perplexities_in_the_prose(study):
    folder, _ = study

    def perplexity(variant, code):
        return perplexities(folder, variant)[code]["perplexity"]

    def own(kind, sparsity, code):
        return perplexity(f"{kind}-{code}-{sparsity}", code)

    checked = 0
    for name, text in written(folder).items():
        *_, percent = name.split()
        sparsity = f"0.{percent[0]}"
        first = name.split()[0]
        if name.startswith("English after English"):
            found = {"en": own("monolingual", sparsity, "en")}
        elif name.startswith("English after"):
            kind = name.split()[2]
            found = {code: perplexity(f"{kind}-{code}-{sparsity}", "en") for code in FOREIGN}
        elif "over plain" in name:
            variant = {"mixture": "monolingual-fr+ru+zh+sw"}.get(first)
            found = {
                code: 100 * (other / own("monolingual", sparsity, code) - 1)
                for code in FOREIGN
                for other in [
                    perplexity(f"{variant}-{sparsity}", code)
                    if variant
                    else own(first, sparsity, code)
                ]
            }
        elif "rise" in name or "times" in name:
            variant = "magnitude-{s}" if first == "magnitude" else "monolingual-{c}-{s}"
            ratio = {
                code: perplexity(variant.format(c=code, s=sparsity), code)
                / perplexity("dense", code)
                for code in LANGUAGES
            }
            found = {c: 100 * (r - 1) for c, r in ratio.items()} if "rise" in name else ratio
        else:
            continue
        checked += 1
        ends = sorted(found.items(), key=lambda item: item[1])
        shown = text.split(" to ")
        for (code, value), part in zip([ends[0], ends[-1]], shown, strict=False):
            figure, _, language = part.partition(" ")
            assert not language or language == f"({LANGUAGES[code]})"
            digits = len(figure.strip("%").partition(".")[2])
            assert number(figure) == pytest.approx(value, abs=0.5001 * 10**-digits), name
    assert checked >= 13


def test_windows_in_the_prose(study):
    folder, _ = study
    texts = written(folder)
    for code in {name.split()[0] for name in texts if name.endswith("refined windows")}:
        rises = [
            before - after
            for before, after in zip(
                perplexities(folder, "dense")[code]["by_window"],
                perplexities(folder, f"translation_vs_code-{code}-0.5")[code]["by_window"],
                strict=True,
            )
        ]
        high, low = [r for r in rises if r > 1.5], [r for r in rises if r <= 1.5]
        assert texts[f"{code} refined windows"] == f"{len(high)} of {len(rises)}"
        assert texts[f"{code} refined high"] == f"{min(high):.1f} to {max(high):.1f}"
        assert texts[f"{code} refined low"] == f"{min(low):.1f} to {max(low):.1f}"


def corrected(p_values):
    """Holm's."""
    made, least = {}, 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        least = max(least, (len(p_values) - rank) * p)
        made[name] = least
    return made


def test_accuracies_in_the_prose(study):
    """Changes against dense by a plain count, McNemar's test by scipy's binomial one."""
    folder, _ = study
    changes, p_values = {}, {}
    for name in pruned_by(folder, "monolingual", "translation", "translation_vs_code"):
        for file in (folder / name / "xnli").glob("*.npz"):
            right, dense = (
                scores.argmax(1) == labels
                for scores, labels in (scores_of(folder, v, file.stem) for v in (name, "dense"))
            )
            changes[name, file.stem] = 100 * (right.mean() - dense.mean())
            only, either = int((right & ~dense).sum()), int((right != dense).sum())
            test = scipy.stats.binomtest(only, either) if either else None
            p_values[name, file.stem] = test.pvalue if test else 1.0
    stars = set()
    for name in {name for name, _ in changes}:
        own = {key: p for key, p in p_values.items() if key[0] == name}
        stars |= {key for key, p in corrected(own).items() if p <= 0.05}
    half = {key: p for key, p in p_values.items() if key[1] == "en" and key[0].endswith("0.5")}
    assert not (folder.name.startswith("qwen") and any(name.endswith("0.3") for name, _ in stars))
    assert all(changes[key] < 0 for key in stars)  # none is better than the dense model
    for name, text in written(folder).items():
        code, _, what = name.partition(" ")
        found = [change for (_, other), change in changes.items() if other == code]
        if what == "changes":
            assert [number(part) for part in text.split(" to ")] == pytest.approx(
                [max(found), min(found)], abs=0.0501
            )
        elif what == "models":
            assert text == f"{len(found)}"
        elif what == "significant":
            assert text == f"{sum(other == code for _, other in stars)}"
        elif what == "models 50%":
            assert text == f"{len(half)}"
        elif what == "significant 50%":
            assert text == f"{len(stars & half.keys())}"
        elif what == "significant over all 50%":
            least = {key for key, p in corrected(half).items() if p <= 0.05}
            assert text == f"{len(least)}"
            assert {name for name, _ in least} == {
                f"translation_vs_code-{c}-0.5" for c in ("fr", "ru")
            }


def premises(folder, variant, code):
    """Of each premise {label of its hypothesis: scores of the options}."""
    scores, labels = scores_of(folder, variant, code)
    made = [
        {int(labels[row]): scores[row] for row in range(first, first + 3)}
        for first in range(0, len(labels), 3)
    ]
    assert all({*premise} == {0, 1, 2} for premise in made)
    return made


def test_premises_in_the_prose(study):
    """Plain loops; intervals by Student's t over premises, which the bootstrap's are close to."""
    folder, _ = study

    def shown(text):
        value, *bounds = re.findall(r"[+−]?[\d.]+", text)
        return [number(part) for part in (value, *bounds)]

    def close(name, values, digits):
        mean, half = np.mean(values), scipy.stats.sem(values) * scipy.stats.t.ppf(0.975, 166)
        value, *bounds = shown(texts[name])
        assert value == pytest.approx(mean, abs=0.5001 * 10**-digits), name
        assert bounds == pytest.approx([mean - half, mean + half], abs=half / 10 + 10**-digits), (
            name
        )

    texts = written(folder)
    for name in [name for name in texts if name.endswith(" apart")]:
        shares = []
        for of in premises(folder, "dense", name.split()[0]):
            gaps = [of[a][a] - of[a][b] - of[b][a] + of[b][b] for a, b in ((0, 1), (0, 2), (1, 2))]
            shares.append(100 * np.mean([0.5 + 0.5 * np.sign(gap) for gap in gaps]))
        close(name, shares, 1)
    for name in [name for name in texts if name.startswith("refined ")]:
        kinds = ("translation_vs_code", "monolingual")
        gains = np.zeros(167)
        for code in FOREIGN:
            refined, plain = (
                premises(folder, f"{kind}-{code}-0.{name.split()[2][0]}", code) for kind in kinds
            )
            if "probability" in name:
                of = [
                    [np.mean([100 * softmax(premise[k])[k] for k in range(3)]) for premise in each]
                    for each in (refined, plain)
                ]
                gains += (np.array(of[0]) - of[1]) / 4
            else:
                of = [
                    [
                        np.mean([premise[k][k] - premise[k].mean() for k in range(3)])
                        for premise in each
                    ]
                    for each in (refined, plain, premises(folder, "dense", code))
                ]
                gains += 100 * (np.array(of[0]) - of[1]) / np.mean(of[2]) / 4
        close(name, gains, 2 if "probability" in name else 0)


def test_options_in_the_prose(study):
    """The first option's share; accuracy without each option's mean, by a bootstrap of few other resamples."""
    folder, _ = study
    texts = written(folder)
    for name, variant in {"": "dense", " plain 30%": "monolingual-fr-0.3"}.items():
        if text := texts.get(f"fr first option{name}"):
            scores, _ = scores_of(folder, variant, "fr")
            assert text == f"{(scores.argmax(1) == 0).mean():.0%}"

    def accuracy(variant, rows):
        scores, labels = (array[rows] for array in scores_of(folder, variant, "fr"))
        return 100 * ((scores - scores.mean(axis=0)).argmax(1) == labels).mean()

    every, generator = np.arange(501), np.random.default_rng(7)
    draws = [
        np.concatenate([[3 * p, 3 * p + 1, 3 * p + 2] for p in generator.integers(0, 167, 167)])
        for _ in range(400)
    ]
    dense = np.array([accuracy("dense", rows) for rows in (every, *draws)])
    for percent in ("30%", "50%") if "fr centred 30%" in texts else ():
        changes, beyond = {}, 0
        for variant in pruned_by(folder, "monolingual", "translation"):
            if variant.endswith(percent[0]) and (folder / variant / "xnli" / "fr.npz").exists():
                found = [accuracy(variant, rows) for rows in (every, *draws)] - dense
                changes[variant] = found[0]
                low, high = np.percentile(found[1:], [2.5, 97.5])
                beyond += low > 0 or high < 0
                if variant == "monolingual-fr-0.3":
                    shown = texts["fr centred plain 30%"].strip("]").replace("[", ",").split(",")
                    assert number(shown[0]) == pytest.approx(found[0], abs=0.0501)
                    assert [*map(number, shown[1:])] == pytest.approx([low, high], abs=0.7)
        assert texts[f"fr centred beyond {percent}"] == f"{beyond} of {len(changes)}"
        ends = [number(part) for part in texts[f"fr centred {percent}"].split(" to ")]
        assert ends == pytest.approx([max(changes.values()), min(changes.values())], abs=0.0501)


def test_features_in_the_prose(study):
    """Means by the tables of the page, layers by largest.csv."""
    folder, _ = study
    texts = written(folder)
    _, rows = table_of(folder / "analysis", "overlap")
    of = {label: [float(cell) for cell in cells[1:]] for label, *cells in rows}
    for name, label in {
        "two languages": "two languages, plain text",
        "own translations": "a language and its translations",
        "halves": "two halves of plain text",
    }.items():
        ends = [number(part) for part in texts[name].split(" to ")]
        assert ends == pytest.approx([min(of[label]), max(of[label])], abs=0.56)  # both rounded
    with np.load(folder / "analysis" / "overlap.npz") as arrays:
        over, sets = arrays["mlp_in/top"], [name.split("/")[0] for name in arrays["sets"]]
    plain = [place for place, kind in enumerate(sets) if kind == "monolingual"]
    layers = [
        100 * np.mean([layer[a, b] for a in plain for b in plain if a != b]) for layer in over
    ]
    for name in [name for name in texts if re.fullmatch(r"mlp_in \d+-\d+", name)]:
        first, last = map(int, name.removeprefix("mlp_in ").split("-"))
        part = layers[first : last + 1]
        assert texts[name] == f"{min(part):.0f}% to {max(part):.0f}%"
    text = (folder / "analysis" / "largest.csv").read_text(encoding="utf-8")
    largest = [line for line in csv.DictReader(text.splitlines()) if line["rank"] == "1"]
    for name in [name for name in texts if name[0].isdigit()]:
        feature, site, *of_set = name.split()
        found = [line for line in largest if (line["feature"], line["site"]) == (feature, site)]
        if of_set:
            here = [line for line in found if [line["kind"], line["language"]] == of_set]
            assert texts[name] == f"{len(here)}"
        else:
            times = Counter(int(line["layer"]) for line in found)
            alone = [layer for layer, count in times.items() if count == 9]
            assert texts[name] == f"{min(alone)} to {max(alone)}"
            assert len(alone) == max(alone) - min(alone) + 1


def drawer():
    """docs/figures/studies.py, which is no module of a package."""
    spec = importlib.util.spec_from_file_location("studies", ROOT / "docs/figures/studies.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_show_the_scores(study):
    """Each dot is a perplexity over the dense model's, and nothing is left out."""
    folder, there = study
    draw, drawn = drawer(), []
    found = read_record(SweepTables, there / "tables.json").perplexity
    for panel in draw.picture(folder.name, found).view["concat"]:
        percent, what = panel["title"]["text"].split("%, ")
        points = [point for layer in panel["layer"] for point in layer["data"]["values"]]
        for point in (point for point in points if "series" in point):
            code = point["name"] if what.startswith("text") else "en"
            if mixed := point["series"] == draw.MIXTURE:
                kind, language = "monolingual", "fr+ru+zh+sw"
            else:
                (kind,) = (kind for kind, name in draw.NAMES.items() if name == point["series"])
                language = point["name"]
            assert mixed or what.startswith("English") or language == code
            variant = f"{kind}-{language}-0.{percent[0]}"
            pruned, dense = (
                perplexities(folder, name)[code]["perplexity"] for name in (variant, "dense")
            )
            assert point["value"] == pytest.approx(pruned / dense)
            drawn.append((variant, code))
    expected = {
        (path.parent.name, code)
        for path in folder.glob("[mt]*-*-0.?/perplexity")
        if not re.match(r"translation.*\+|magnitude", path.parent.name)
        for code in perplexities(folder, path.parent.name)
    }
    assert {*drawn} == expected
    assert f"(figures/{folder.name}.png)" in PAGE
