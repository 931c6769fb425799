"""Sweeps with draws: every calibration with text is made on each of several disjoint parts of it."""

import csv
import json

import pytest

import jaxprune as jp

SWEEP = {
    "calibration": {"data": "nano", "samples": 2, "shots": 2},
    "evaluation": {"tasks": "nano_nli", "rows": 12, "perplexity": "nano"},
    "sweep": {
        "grid": {
            "pruning.criterion": ["magnitude", "wanda"],
            "calibration.kind": ["monolingual", "shuffled"],
            "calibration.source": ["fr", "sw"],
            "calibration.draw": ["1/2", "2/2"],
            "pruning.sparsity": [0.5],
        },
        "name": "{pruning.criterion}-{calibration.kind}-{calibration.source}-{calibration.draw}",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("draws")
    return folder, jp.sweep("nano/bloom", folder, **SWEEP)


def test_each_draw_has_variants_of_its_own(swept):
    folder, found = swept
    texts = [
        f"wanda-{kind}-{code}-{draw}"
        for kind in ("monolingual", "shuffled")
        for code in ("fr", "sw")
        for draw in (1, 2)
    ]
    assert found.comparison.names == ["dense", "magnitude", *texts]
    with (folder / "measurements.csv").open(encoding="utf-8") as file:
        draws = {(row["calibration.kind"], row["calibration.draw"]) for row in csv.DictReader(file)}
    kinds = ("monolingual", "shuffled")
    assert draws == {("", ""), *((kind, f"{n}/2") for kind in kinds for n in (1, 2))}


def test_a_variant_has_the_masks_of_a_run_on_its_draw(swept):
    folder, _ = swept
    model = jp.load("nano/bloom")
    for draw in (1, 2):
        batches = jp.demonstrations(
            model.tokenizer, "nano", kind="shuffled", shots=2, samples=2, draw=f"{draw}/2"
        )
        alone = jp.prune(model, batches, sparsity=0.5, progress=False)
        variant = folder / f"wanda-shuffled-fr-{draw}"
        swept_masks = jp.checkpoint.restore(variant / "checkpoint").masks
        assert jp.masks.overlap(alone.masks, swept_masks).overall == 1
        config = json.loads((variant / "config.json").read_text(encoding="utf-8"))
        assert config["calibration"]["draw"] == f"{draw}/2"
