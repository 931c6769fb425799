"""Sweeps with draws: every calibration with text is made on each of several disjoint parts of it."""

import csv
import json
import math
from dataclasses import replace

import pytest

import jaxprune as jp
from jaxprune.evaluation.comparison import open_run
from jaxprune.sweeps.over_draws import drawn_rows
from jaxprune.sweeps.plan import Variant, by_row

SWEEP = {
    "calibration": {"data": "nano", "samples": 2, "shots": 2},
    "evaluation": {"tasks": "nano_nli", "rows": 12, "perplexity": "nano"},
    "sweep": {
        "sparsities": "0.5", "calibrations": "dense,magnitude,monolingual,shuffled",
        "languages": "fr,sw", "draws": 2,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("draws")
    return folder, jp.sweep("nano/bloom", folder, **SWEEP)


def test_each_draw_has_variants_and_rows_of_its_own(swept):
    folder, tables = swept
    texts = [
        f"{kind}-{code}-0.5-draw{draw}"
        for kind in ("monolingual", "shuffled")
        for code in ("fr", "sw")
        for draw in (1, 2)
    ]
    task = tables.tasks["nano_nli"]
    assert [one.variant for one in task.variants] == ["magnitude-0.5", *texts]
    rows = [(row.calibration, row.draw) for row in task.rows]
    wanted = [("monolingual", 1), ("shuffled", 1), ("monolingual", 2), ("shuffled", 2)]
    assert rows == [("magnitude", None), *wanted]
    with (folder / "tables.csv").open(encoding="utf-8") as file:
        draws = {(row["calibration"], row["draw"]) for row in csv.DictReader(file)}
    assert draws == {("dense", ""), ("magnitude", ""), *((kind, str(n)) for kind, n in wanted)}
    assert "monolingual 50% draw 2" in (folder / "tables.md").read_text(encoding="utf-8")


def test_a_variant_has_the_masks_of_a_run_on_its_draw(swept):
    folder, _ = swept
    model = jp.load("nano/bloom")
    for draw in (1, 2):
        batches = jp.demonstrations(
            model.tokenizer, "nano", kind="shuffled", shots=2, samples=2, draw=f"{draw}/2"
        )
        alone = jp.prune(model, batches, sparsity=0.5, progress=False)
        variant = folder / f"shuffled-fr-0.5-draw{draw}"
        assert (
            jp.masks.overlap(
                alone.masks, jp.checkpoint.restore(variant / "checkpoint").masks
            ).overall
            == 1
        )
        config = json.loads((variant / "config.json").read_text(encoding="utf-8"))
        assert config["calibration"]["draw"] == f"{draw}/2"


def test_another_number_of_draws_is_another_sweep(swept):
    folder, _ = swept
    more = SWEEP | {"sweep": SWEEP["sweep"] | {"draws": 3}}
    with pytest.raises(jp.InputError, match=r"sweep\.draws: got 3; .* contains a sweep with 2"):
        jp.sweep("nano/bloom", folder, **more)


def test_comparisons_over_the_draws_are_means_of_those_of_each_draw(swept):
    folder, tables = swept
    task = tables.tasks["nano_nli"]
    rows = {(row.calibration, row.against, row.task, row.measure): row for row in tables.draws}
    assert {(calibration, against) for calibration, against, _, _ in rows} == {
        ("monolingual", "dense"), ("shuffled", "dense"), ("shuffled", "monolingual"),
    }  # fmt: skip
    of_draws = [row for row in task.rows if row.calibration == "shuffled"]
    found = rows["shuffled", "dense", "nano_nli", "accuracy"]
    for code in ("fr", "sw"):
        changes = [row.languages[code].difference for row in of_draws]
        assert found.languages[code].by_draw == pytest.approx(changes)
        assert found.languages[code].mean == pytest.approx(sum(changes) / 2)
    means = [row.mean_non_english.difference for row in of_draws]
    assert found.mean_non_english.by_draw == pytest.approx(means)
    perplexity = {one.variant: one.languages for one in tables.perplexity.variants}
    rises = rows["shuffled", "monolingual", None, "log-perplexity"]
    for number, rise in enumerate(rises.languages["sw"].by_draw, start=1):
        ratio = math.prod(
            perplexity[f"{kind}-sw-0.5-draw{number}"]["sw"].perplexity ** power
            for kind, power in (("shuffled", 1), ("monolingual", -1))
        )
        assert rise == pytest.approx(math.log(ratio))
    page = (folder / "report.html").read_text(encoding="utf-8")
    for text in (page, (folder / "tables.md").read_text(encoding="utf-8")):
        assert "Log-perplexity, change against monolingual" in text


def test_texts_without_parts_have_no_row_over_the_draws(swept):
    """As those of a tokenizer without offsets of characters."""
    folder, tables = swept
    names = ["dense", *(f"monolingual-fr-0.5-draw{draw}" for draw in (1, 2))]
    runs = {}
    for name in names:
        run = open_run(folder / name)
        bare = {code: replace(one, by_part=()) for code, one in run.perplexity.items()}
        draw = int(name[-1]) if name != "dense" else None
        kind, code = ("monolingual", "fr") if draw else ("dense", None)
        variant = Variant(kind, code, 0.5 if draw else None, draw)
        runs[variant] = replace(run, perplexity=bare)
    measures = {row.measure for row in drawn_rows(runs, 0)}
    assert "log-perplexity" not in measures
    assert measures == {row.measure for row in tables.draws} - {"log-perplexity"}


def test_means_of_an_unfinished_sweep_are_over_the_draws_of_all_languages(swept):
    folder, _ = swept

    def found(**draws_by_language):
        runs = {Variant("dense", None, None, None): open_run(folder / "dense")}
        for code, draws in draws_by_language.items():
            for draw in draws:
                variant = Variant("monolingual", code, 0.5, draw)
                runs[variant] = open_run(folder / variant.name)
        rows = {(row.task, row.measure): row for row in drawn_rows(runs, 0)}
        return rows["nano_nli", "accuracy"]

    whole, part = found(fr=(1, 2), sw=(1, 2)), found(fr=(1, 2), sw=(2,))
    assert part.languages["fr"] == whole.languages["fr"]
    assert part.mean_non_english.by_draw == whole.mean_non_english.by_draw[1:]
    assert found(fr=(1,), sw=(2,)).mean_non_english is None


def test_a_row_without_figures_is_left_out():
    assert by_row({Variant("random", None, 0.5): {}}, ["fr"]) == {}
