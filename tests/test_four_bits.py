"""Pages of studies/four_bits against its scores, and its programs on made-up scores whose effects are known."""

import shutil
from pathlib import Path

import four_bits as page
import four_bits_cells as cells
import four_bits_claims as claims
import four_bits_numbers as numbers
import four_bits_power as power
import jobs
import numpy as np
import pytest
from scipy import stats

import jaxprune as jp
import jaxprune.nano
from jaxprune.pages.job import run_from_config

# Rises in % by rounding, and those that English text adds in other languages.
RISES = {"dense": 0, "nearest": 15, "search": 12, "importance": 11, "gptq": 5, "sparsegpt": 80}
OF_ENGLISH = {"q4_0": 8, "iq4_nl": 6, "q5_0": 2, "q8_0": 0.01}


@pytest.fixture(scope="module")
def committed():
    """The scores of the study."""
    return cells.read_arrays(cells.SCORES)


def test_pages_and_paper_have_the_committed_scores(committed):
    prose, tables = page.prose_and_tables(committed)
    for file in page.PAGES:
        text = file.read_text("utf-8")
        assert page.written(text, prose, tables) == text
        assert text.count("<!--n ") > 5
    assert page.CELLS.read_text("utf-8") == page.csv(committed)


def test_all_cells_are_made_and_recorded(committed):
    assert {*committed} >= {name for cell in cells.cells() for name in cell.scores}
    assert {*cells.read(cells.MODELS)} == {f"{cell.model}/{cell.name}" for cell in cells.cells()}


def test_what_the_pages_say_in_words(committed):
    def loss(way, text, code):
        return claims.rise(committed, "gemma", way, text, code).mean()

    for code in numbers.OTHERS:
        # docs/guide/choose.md: more than twice as much on English text
        assert loss("gptq_q4_0", "en", code) > 2 * loss("gptq_q4_0", claims.OWN, code)
        # docs/four_bits.md: about as bad as rounding without text
        of_nearest = loss("gptq_q4_0", "en", code) / loss("nearest_q4_0", "", code)
        assert (of_nearest > 0.95) == (code in ("ar", "hi", "th"))
    for model in ("smollm2", "qwen"):
        known = [code for code in cells.FOUR if claims.is_testable(committed, model, code)]
        assert known == ["fr", "ru", "zh"]
    # studies/paper.md: languages with a run less
    runs = {code: len(committed[f"gemma/dense/{code}"]) for code in cells.LANGUAGES}
    assert {code for code, count in runs.items() if count == 29} == {"zh", "de"}
    assert {*runs.values()} == {29, 30}


@pytest.fixture(scope="module")
def scores():
    """Texts of 30 runs (Chinese: 29) with 400 tokens and 1,500 bytes; draws and runs differ by a tenth of a rise."""
    rng = np.random.default_rng(0)
    runs = dict.fromkeys(cells.LANGUAGES, 30) | {"zh": 29}
    bits = {code: rng.normal(1000, 100, runs[code]) for code in cells.LANGUAGES}
    made = {f"compressed/{code}": np.array(2.0) for code in cells.LANGUAGES}
    for cell in cells.cells():
        own, size = cell.text.removeprefix("generated_"), RISES[cell.how] / 10
        draw = rng.normal(0, size / 10)
        for code in cell.languages:
            rise = RISES[cell.how] + draw + rng.normal(0, size, runs[code])
            if cell.how == "gptq" and own not in (code, cells.MIXTURE):
                rise = rise + OF_ENGLISH[cell.grid]
            sums = -bits[code] * (1 + rise / 100)
            made[f"{cell.model}/{cell.name}/{code}"] = np.stack(
                [sums, np.full_like(sums, 400)], axis=1
            )
            made[f"bytes/{cell.model}/{code}"] = np.full(runs[code], 1500)
    return made


def test_each_cell_is_made_once_and_the_pilot_shares_no_text():
    every = [(cell.model, cell.name) for cell in cells.cells()]
    assert len(every) == len(set(every)) == 258
    first, last = (map(int, part[0].split("-")) for part in (cells.STUDY_TEXTS, cells.PILOT_TEXTS))
    assert max(first) < min(last)
    assert cells.STUDY_TEXTS[1] != cells.PILOT_TEXTS[1]
    assert {cell.draw for cell in cells.pilot()} == set(range(4))


def test_verdicts_follow_the_effects(scores):
    verdicts = dict(numbers.verdicts(claims.results(claims.all_claims(scores))))
    assert verdicts["Q1"] == verdicts["Q1 Qwen"] == verdicts["Q4a"] == claims.SUPPORTED
    assert verdicts["Q2"] == verdicts["Q5a"] == claims.SUPPORTED


def test_verdicts_that_differ_name_their_languages(scores):
    english, own = (f"gemma/gptq_q4_0-{code}-{{}}/sw" for code in ("en", "sw"))
    changed = scores | {own.format(draw): scores[english.format(draw)] for draw in range(4)}
    verdicts = dict(numbers.verdicts(claims.results(claims.all_claims(changed))))
    assert verdicts["Q1"].startswith("supported in French, Russian")
    assert verdicts["Q1"].endswith("; refuted in Swahili")


def test_a_rise_is_in_percent_of_the_mean_of_the_dense_bits(scores):
    dense, own = (scores[f"gemma/{name}/sw"][:, 0] for name in ("dense", "gptq_q4_0-sw-2"))
    rise = claims.rise(scores, "gemma", "gptq_q4_0", claims.OWN, "sw")
    assert rise.shape == (4, 30)
    np.testing.assert_allclose(rise[2].mean(), 100 * (own.sum() / dense.sum() - 1))


def test_an_interval_of_one_draw_is_over_its_runs(scores):
    values = claims.rise(scores, "gemma", "nearest_q4_0", "", "sw")
    mean, low, high = claims.mean_and_interval(values)
    expected = stats.t.interval(0.95, 29, values.mean(), stats.sem(values[0]))
    np.testing.assert_allclose((mean, low, high), (values.mean(), *expected))
    mean, low, high = claims.mean_and_interval(
        claims.rise(scores, "gemma", "gptq_q4_0", "en", "sw")
    )
    assert low < mean < high


def test_ranges_leave_out_what_is_not_testable(scores):
    english, own = (f"qwen/gptq_q4_0-{code}-{{}}/sw" for code in ("en", "sw"))
    changed = scores | {own.format(draw): 2 * scores[english.format(draw)] for draw in range(4)}
    for floor, codes in ((2.0, cells.FOUR), (0.0, ("fr", "ru", "zh"))):
        of_floor = changed | {"compressed/sw": np.array(floor)}
        made = numbers.numbers(of_floor, claims.results(claims.all_claims(of_floor)))
        largest = max(
            np.subtract(*(claims.rise(changed, "qwen", "gptq_q4_0", text, code) for text in (code, "en"))).mean()
            for code in codes
        )  # fmt: skip
        assert (largest > 100) == ("sw" in codes)
        assert made["Q1 Qwen changes"].endswith(f" to {numbers.decimal(largest)}")


@pytest.mark.parametrize(
    ("value", "text"), [(-0.04, "0.0"), (-0.06, "−0.1"), (0.04, "0.0"), (12.34, "12.3")]
)
def test_numbers_have_a_true_minus_and_zeros_no_sign(value, text):
    assert numbers.decimal(value) == text


@pytest.mark.parametrize(
    ("mean", "relation", "margin", "verdict"),
    [
        (-2.0, "less", 0.5, claims.SUPPORTED),
        (2.0, "less", 0.5, claims.REFUTED),
        (0.0, "less", 0.5, claims.REFUTED),  # a gain of the margin is excluded
        (-0.2, "less", 0.5, claims.REFUTED),  # a gain, but none that matters
        (0.0, "less", 0.05, claims.OPEN),
        (0.0, "equal", 1.0, claims.SUPPORTED),
        (0.0, "equal", 0.05, claims.OPEN),
        (1.0, "equal", 1.0, claims.OPEN),
        (-2.0, "equal", 1.0, claims.REFUTED),
    ],
)
def test_rules_of_the_verdicts(mean, relation, margin, verdict):
    noise = np.random.default_rng(1).normal(0, 0.5, (4, 30))
    noise -= noise.mean()
    claim = claims.Claim("Q", "of a test", mean + noise, relation, margin)
    [result] = claims.results([claim])
    assert result.verdict == verdict
    assert result.interval[0] < mean < result.interval[1]


def test_a_language_that_a_compressor_knows_better_is_not_testable(scores):
    [size], [total] = (
        {float(part.sum())}
        for part in (scores["bytes/qwen/sw"], -scores["qwen/dense/sw"][:, 0] / np.log(2))
    )
    for floor, verdict in ((1.01, claims.SUPPORTED), (0.99, claims.UNTESTABLE)):
        changed = scores | {"compressed/sw": np.array(floor * total / size)}
        found = claims.results(claims.all_claims(changed))
        assert {
            result.verdict
            for result in found
            if result.claim.question == "Q1 Qwen" and result.claim.name.endswith(" sw")
        } == {verdict}


def test_the_page_has_the_scores(scores):
    template = "<!-- {0} -->\n\n\n<!--/-->\n".format
    template = "".join(map(template, ("claims", "rises", "floors"))) + (
        "<!--n Q1 verdict-->x<!--/--> <!--n gptq own rises-->x<!--/--> <!--n Q1 mean-->x<!--/-->"
    )
    prose, tables = page.prose_and_tables(scores)
    text = page.written(template, prose, tables)
    assert f"<!--n Q1 verdict-->{claims.SUPPORTED}<!--/-->" in text
    others = [code for code in cells.LANGUAGES if code != "en"]
    own = [claims.rise(scores, "gemma", "gptq_q4_0", code, code).mean() for code in others]
    assert f"<!--n gptq own rises-->{min(own):.1f} to {max(own):.1f}%<!--/-->" in text
    english = [claims.rise(scores, "gemma", "gptq_q4_0", "en", code).mean() for code in others]
    change = f"{np.mean(own) - np.mean(english):.1f}".replace("-", "−")
    assert f"<!--n Q1 mean-->{change} [" in text
    rises = claims.rise(scores, "gemma", "gptq_q4_0", "en", "th").mean()
    row = next(line for line in text.splitlines() if "Q4_0, `gptq` | English" in line)
    assert f" {rises:.1f} [" in row
    sums = scores["qwen/dense/ru"][:, 0].sum()
    row = next(line for line in text.splitlines() if line.startswith("| Qwen2.5-Coder-0.5B |"))
    assert row.split("|")[4].strip() == f"{-sums / np.log(2) / (30 * 1500):.2f}"
    assert text.count("own − English text, in") == 11 + 4 + 4 + 11
    assert len(page.csv(scores).splitlines()) == 1 + sum(len(c.languages) for c in cells.cells())
    assert [row.split("|")[1].strip() for row in tables["coverage"].splitlines()[2:]] == [
        "Q1", "Q1 SmolLM2", "Q1 Qwen", "Q2", "Q3", "Q4a", "Q4b", "Q5a", "Q5b",
    ]  # fmt: skip


def test_the_spread_of_simulated_changes_is_that_of_their_model():
    made = power.Spread(draws=2.0, runs=1.0, rest=0.5)
    rng = np.random.default_rng(0)
    spreads = [power.spread_of(power.simulated(made, 3.0, rng)) for _ in range(400)]
    variances = np.square(spreads).mean(axis=0)
    np.testing.assert_allclose(variances, np.square(made), rtol=0.15)


def test_power_grows_with_the_change_and_falls_with_the_spread():
    narrow, wide = power.Spread(0.2, 0.5, 0.5), power.Spread(2.0, 0.5, 0.5)
    of = {
        (name, mean): power.power(spread, claims.LESS, 0.5, 11, mean)
        for name, spread in (("narrow", narrow), ("wide", wide))
        for mean in (-0.05, -2.0)
    }
    assert of["narrow", -2.0] > 0.9
    assert of["narrow", -0.05] < 0.1
    assert of["wide", -2.0] < of["narrow", -2.0]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A small study, of the bundled model; the command line of its cells."""
    models = tmp_path / "models"
    shutil.copytree(Path(jaxprune.nano.__file__).parent / "checkpoints" / "bloom", models / "gemma")
    (models / "gemma_texts").mkdir()
    windows = np.random.default_rng(0).integers(3, 500, (4, 64)).astype(np.int32)
    np.savez(models / "gemma_texts" / "sw-1.npz", input_ids=windows)
    (tmp_path / "sw.txt").write_text("Habari ya asubuhi, rafiki yangu.\n" * 20, "utf-8")
    made = [
        cells.Cell("gemma", "dense", languages=("sw",)),
        cells.Cell("gemma", "gptq", "q4_0", "sw", 1, ("sw",)),
        cells.Cell("gemma", "search", "q4_0", cells.ONES, languages=("sw",)),
        cells.Cell("gemma", "sparsegpt", "", "sw", 1, ("sw",)),
    ]
    monkeypatch.setattr(cells, "cells", lambda: made)
    monkeypatch.setattr(cells, "STUDY_TEXTS", ("0-19", "texts"))
    for name, file in (("SCORES", "scores.npz"), ("MODELS", "models.json")):
        monkeypatch.setattr(cells, name, tmp_path / file)
    monkeypatch.setattr("sys.argv", ["cells", str(models), str(tmp_path), str(tmp_path)])
    return tmp_path


def test_cells_are_those_of_the_commands_and_are_made_once(study, monkeypatch):
    cells.main()
    scores, models = cells.read_arrays(study / "scores.npz"), cells.read(study / "models.json")
    config = jobs.job(
        str(study / "models/gemma"), "quantize", calibration__kind="tokens",
        calibration__data=str(study / "models/gemma_texts/sw-1.npz"),
    )  # fmt: skip
    run_from_config(config, study / "quantized")
    evaluated = jp.evaluate(
        jp.load(study / "quantized/hf"), perplexity=study, languages="sw", progress=False
    )
    sums = scores["gemma/gptq_q4_0-sw-1/sw"]
    assert sums.shape == (2, 2)  # two runs of ten lines
    np.testing.assert_array_equal(sums[:, 0], evaluated.perplexities["sw"].part_sums)
    names = ("dense", "search_q4_0-ones-0", "sparsegpt-sw-1")
    changed = [scores[f"gemma/{name}/sw"][:, 0].sum() for name in names]
    assert len({sums[:, 0].sum(), *changed}) == 4
    assert {*models} == {f"gemma/{cell.name}" for cell in cells.cells()}
    assert models["gemma/gptq_q4_0-sw-1"]["text"] == models["gemma/sparsegpt-sw-1"]["text"] != ""
    del scores["gemma/sparsegpt-sw-1/sw"]
    cells.save(study / "scores.npz", scores)
    made, real = [], cells.model_of
    monkeypatch.setattr(cells, "model_of", lambda *a: made.append(a[0].name) or real(*a))
    cells.main()
    assert made == ["sparsegpt-sw-1"]
