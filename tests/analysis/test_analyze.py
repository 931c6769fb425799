"""The whole analysis on the nano model: its tables agree with each other, its pictures are drawn."""

import csv
import json
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from jobs import job

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.models.block import SITES
from jaxprune.pages import analysis_pictures as pictures
from jaxprune.pages.analyze import analyze_from_config
from jaxprune.stats.walk import HIDDEN
from jaxprune.steps import checkpoint

ROOT = Path(__file__).parents[2]
NANO = str(ROOT / "jaxprune/nano/checkpoints/xglm")
SETS = ["monolingual/en", "monolingual/sw", "translation/sw"]


def ready(**fields):
    given = {
        "mesh.data": 1, "calibration.data": "nano", "calibration.samples": 2,
        "calibration.shots": 2, "analysis.languages": "en,sw",
    }  # fmt: skip
    return job(NANO, "analyze", **given | fields)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An analysis with the masks of two made-up runs: (what it returned, its folder)."""
    work = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    kernels = {p: k.shape for p, k in flatten_dict(jp.load(NANO).params, sep="/").items()}
    kernels = {
        p: s for p, s in kernels.items() if p.startswith("blocks/") and p.endswith("/kernel")
    }
    for name in ("fr", "sw"):
        masks = unflatten_dict({p: rng.random(s) < 0.7 for p, s in kernels.items()}, sep="/")
        checkpoint.save(work / name / "checkpoint", masks=masks, metadata={})
    (work / "nano" / "analysis").mkdir(parents=True)
    (work / "nano" / "analysis" / "stale.csv").touch()
    manifest.seal(work / "nano" / "analysis")  # an earlier one's
    config = ready(**{"analysis.masks": f"{work}/fr,{work}/sw", "analysis.top": 0.25})
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")  # a character that would be a box
        summary = analyze_from_config(config, work / "nano")
    return summary, work / "nano" / "analysis"


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_summary_is_what_was_written_last(run):
    summary, folder = run
    assert json.loads((folder / "analysis.json").read_text()) == summary
    assert summary["languages"] == ["en", "sw"]
    assert list(summary["tokens"]) == SETS
    assert summary["top"] == {"requested": 0.25, "used": 0.25}
    assert not (folder / "stale.csv").exists()


def test_tables_of_magnitudes_agree(run):
    """Of npz and largest.csv; the largest are those that numpy sorts to the end."""
    summary, folder = run
    arrays = np.load(folder / "magnitudes.npz")
    assert set(arrays) == {f"{name}/{site}" for name in SETS for site in (*SITES, HIDDEN)}
    tops = table(folder / "largest.csv")
    assert len(tops) == 3 * 4 * 5 * 20
    for row in tops:
        name = f"{row['kind']}/{row['language']}"
        norms = arrays[f"{name}/{row['site']}"][int(row["layer"])]
        norm = norms[int(row["feature"])]
        assert norm == np.sort(norms)[-int(row["rank"])]
        want = (norm, norm / summary["tokens"][name] ** 0.5, norm / np.median(norms))
        got = [float(row[key]) for key in ("norm", "rms", "norm_over_median")]
        np.testing.assert_allclose(got, want, rtol=2e-5)


def test_overlaps_follow_from_the_magnitudes(run):
    summary, folder = run
    arrays = np.load(folder / "magnitudes.npz")
    rows = [row for row in table(folder / "overlap.csv") if row["compared"] == "sets"]
    assert len(rows) == 5 * 4 * 9
    for row in rows:
        a, b = (f"{row[f'kind_{x}']}/{row[f'language_{x}']}" for x in "ab")
        site, layer = row["site"], int(row["layer"])
        ours, theirs = (arrays[f"{name}/{site}"][layer].argsort() for name in (a, b))
        k = len(ours) // 4
        assert int(row["features"]) == k
        shares = [len({*ours[-k:]} & {*ends}) / k for ends in (theirs[-k:], theirs[:k])]
        for share, end in zip(shares, ("top", "bottom"), strict=True):
            assert float(row[f"top_in_{end}"]) == pytest.approx(share, abs=1e-6)
    hidden = summary["overlap"][HIDDEN]
    kinds = ("monolingual", "translation")
    shares = [
        float(row["top_in_bottom"])
        for row in rows
        if (row["site"], row["kind_a"], row["kind_b"]) == (HIDDEN, *kinds)
    ]
    assert len(shares) == 4 * 2
    mean = np.mean(shares)
    assert hidden["top_in_bottom"]["monolingual in translation"] == pytest.approx(mean, abs=1e-6)


def test_halves_of_each_set_are_compared(run):
    summary, folder = run
    rows = [row for row in table(folder / "overlap.csv") if row["compared"] == "halves"]
    assert len(rows) == 5 * 4 * 3
    assert all(
        (row["kind_a"], row["language_a"]) == (row["kind_b"], row["language_b"]) for row in rows
    )
    of_kind = [row for row in rows if (row["site"], row["kind_a"]) == (HIDDEN, "monolingual")]
    for end, means in summary["overlap"][HIDDEN]["halves"].items():
        mean = np.mean([float(row[end]) for row in of_kind])
        assert means["two halves of monolingual"] == pytest.approx(mean, abs=1e-6)


def test_tables_of_language_neurons_agree(run):
    """Of npz, both tables and the summary; the shares are those of the monolingual sets alone."""
    summary, folder = run
    arrays, rows = np.load(folder / "language_neurons.npz"), table(folder / "language_neurons.csv")
    codes = arrays["languages"].tolist()
    assert codes == ["en", "sw"]
    shares, members = arrays["shares"], arrays["members"]
    assert shares.shape == members.shape == (4, 512, 2)
    totals = summary["language_neurons"]
    assert len(rows) == members.any(axis=-1).sum() == totals["languages"]["any"]["neurons"] == 20
    assert totals["of"] == 4 * 512
    for row in rows:
        place = int(row["layer"]), int(row["neuron"])
        active = shares[place] > arrays["threshold"]
        assert members[place].tolist() == active.tolist()
        assert row["languages"].split() == np.array(codes)[active].tolist()
        assert float(row["entropy"]) == pytest.approx(arrays["entropy"][place], abs=1e-5)
        assert int(row["in_halves"]) == arrays["in_halves"][place][active].min()
        for s, code in enumerate(codes):
            assert float(row[f"share_{code}"]) == pytest.approx(shares[(*place, s)], rel=1e-5)
            error = arrays["shares_error"][(*place, s)]
            assert float(row[f"error_{code}"]) == pytest.approx(error, rel=1e-5)
    by_layer = table(folder / "language_neurons_by_layer.csv")
    assert len(by_layer) == (4 + 1) * (2 + 1)
    for row in by_layer:
        of_layer = members if row["layer"] == "all" else members[[int(row["layer"])]]
        any_language = row["language"] == "any"
        mine = of_layer.any(-1) if any_language else of_layer[..., codes.index(row["language"])]
        assert int(row["neurons"]) == mine.sum()
        if row["layer"] == "all":
            known = totals["languages"][row["language"]]
            assert known["neurons"] == mine.sum()
            error = float(row["standard_error"])
            assert known["standard_error"] == pytest.approx(error, abs=1e-5)
    model = jp.load(NANO)
    batches = jp.demonstrations(
        model.tokenizer, "nano", kind="monolingual", source="sw", shots=2, samples=2
    )
    counts = jp.probe(model, batches, neurons=True, progress=False).sums["monolingual", "sw"]
    alone = counts["neurons"]["positive"].sum(axis=1) / summary["tokens"]["monolingual/sw"]
    np.testing.assert_allclose(shares[..., 1], alone, rtol=1e-12)


def test_sets_of_one_sample_have_no_halves(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pictures, "charts", lambda *_, **__: ())  # takes most of an analysis
    fields = {"calibration.samples": 1, "analysis.languages": "sw"}
    summary = analyze_from_config(ready(**fields), tmp_path)
    assert summary["overlap"][HIDDEN]["halves"] == {"top_in_top": {}, "top_in_bottom": {}}
    printed = capsys.readouterr().out
    assert "halves are not compared: a set has only one sample" in printed
    rows = [line.strip() for line in printed.splitlines()]
    assert not any(row.startswith("two halves") for row in rows)
    assert {row["compared"] for row in table(tmp_path / "analysis" / "overlap.csv")} == {"sets"}
    assert "language_neurons" not in summary  # one language


def test_masks_by_layer_and_kernel_and_in_all(run):
    summary, folder = run
    rows = table(folder / "masks.csv")
    trees = [checkpoint.restore(folder.parents[1] / n / "checkpoint").masks for n in ("fr", "sw")]
    want = jp.masks.overlap(*trees)
    assert len(rows) == 1 + 4 + len(want.leaves)
    assert {(row["run_a"], row["run_b"]) for row in rows} == {("fr", "sw")}
    shares = {row["part"]: float(row["iou"]) for row in rows}
    assert shares["all"] == pytest.approx(want.overall, abs=1e-6)
    assert [shares[str(i)] for i in range(4)] == pytest.approx(want.layers, abs=1e-6)
    for path, share in want.leaves.items():
        name = path.removeprefix("blocks/").removesuffix("/kernel")
        assert shares[name] == pytest.approx(share, abs=1e-6)
    assert summary["masks"][0]["iou"] == pytest.approx(want.overall)
    assert summary["masks"][0]["chance"] == pytest.approx(want.overall, abs=0.01)  # random masks


def test_every_picture_has_something_in_it(run):
    _, folder = run
    names = {path.stem for path in (folder / "figures").iterdir()}
    sites = (*SITES, HIDDEN)
    of_sites = {f"{name}_{site}" for name in ("largest", "overlap") for site in sites}
    assert names == {"language_neurons", "masks", "overlap_by_layer", *of_sites}
    for path in (folder / "figures").iterdir():
        picture = path.read_bytes()
        assert picture.startswith(b"\x89PNG"), path.name
        width, height = struct.unpack(">II", picture[16:24])
        assert min(width, height) > 150, path.name
        assert len(picture) > 3000, path.name  # a blank one packs into far less


def test_official_takes_its_own_share(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pictures, "charts", lambda *_, **__: ())  # takes most of an analysis
    summary = analyze_from_config(
        ready(compat="official", calibration__max_length=64, analysis__languages="sw"), tmp_path
    )
    assert summary["top"] == {"requested": 0.3, "used": 0.4}
    assert summary["overlap"][HIDDEN]["features"] == round(0.4 * 128)
    assert summary["tokens"] == {"monolingual/sw": 128, "translation/sw": 128}  # pads are tokens
    printed = capsys.readouterr()
    assert "% of the largest 40% (51 features)" in printed.out


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"analysis.languages": "fr,xx"}, "analysis.languages: got 'fr,xx'"),
        ({"analysis.languages": "fr,fr"}, "analysis.languages: got 'fr,fr'"),
        ({"analysis.languages": ""}, "analysis.languages: got ''"),
        ({"analysis.top": 1.5}, "analysis.top: got 1.5"),
        ({"analysis.neurons": 0.0}, "analysis.neurons: got 0.0"),
        ({"analysis.masks": "nowhere"}, "analysis.masks: one run"),
        ({"analysis.masks": "nowhere,./nowhere"}, "analysis.masks: a run is given twice"),
        (
            {"analysis.masks": "nowhere,gone"},
            "analysis.masks: nowhere, gone: nowhere/checkpoint: no complete checkpoint",
        ),
    ],
)
def test_bad_fields_are_named(fields, message, tmp_path):
    with pytest.raises(InputError) as error:
        analyze_from_config(ready(**fields), tmp_path)
    assert str(error.value).startswith(message)
    assert not (tmp_path / "analysis").exists()
