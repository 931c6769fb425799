"""Sweeps with draws: every calibration with text is made on each of several disjoint parts of it."""

import csv
import json

import pytest

import jaxprune as jp

SWEEP = {
    "calibration": {"data": "nano", "samples": 2, "shots": 2},
    "evaluation": {"tasks": "nano_nli", "rows": 4, "languages": ["en", "fr"]},
    "sweep": {
        "sparsities": "0.5", "calibrations": "dense,magnitude,monolingual,shuffled",
        "languages": "fr", "draws": 2,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("draws")
    return folder, jp.sweep("nano/bloom", folder, **SWEEP)


def test_each_draw_has_variants_and_rows_of_its_own(swept):
    folder, tables = swept
    texts = [f"{kind}-fr-0.5-draw{draw}" for kind in ("monolingual", "shuffled") for draw in (1, 2)]
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
        assert jp.masks.overlap(alone.masks, jp.checkpoint.restore(variant / "checkpoint").masks).overall == 1
        config = json.loads((variant / "config.json").read_text(encoding="utf-8"))
        assert config["calibration"]["draw"] == f"{draw}/2"


def test_another_number_of_draws_is_another_sweep(swept):
    folder, _ = swept
    more = SWEEP | {"sweep": SWEEP["sweep"] | {"draws": 3}}
    with pytest.raises(jp.InputError, match=r"sweep\.draws: got 3; .* contains a sweep with 2"):
        jp.sweep("nano/bloom", folder, **more)
