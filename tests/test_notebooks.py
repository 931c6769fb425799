"""Records in a notebook: a short repr, a table, a DataFrame, a picture; and the notebooks of the repository."""

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import jaxprune as jp
from jaxprune.pruning.criteria import CRITERIA

ROOT = Path(__file__).parents[1]
ASKED = {
    "tasks": "nano_nli",
    "languages": "en,fr",
    "rows": 20,
    "perplexity": "nano",
    "progress": False,
}


@pytest.fixture(scope="module")
def shown():
    """One record of each kind that notebooks show."""
    model = jp.load("nano/bloom")
    batches = jp.demonstrations(model.tokenizer, "nano", source="fr", samples=2)
    stats = jp.probe(model, batches, progress=False)
    result = jp.prune(model, batches, sparsity=0.5, progress=False)
    models = {"dense": model, "pruned": model.replace(result.params)}
    evaluations = [jp.evaluate(one, **ASKED, name=name) for name, one in models.items()]
    return {
        "stats": stats,
        "result": result,
        "density": jp.masks.density(result.masks),
        "evaluation": evaluations[0],
        "comparison": jp.compare(*evaluations),
    }


def cells(table):
    return [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]


def tables(record):
    """The cells of the tables of a record; the HTML is well-formed."""
    return [cells(one) for one in ET.fromstring(f"<p>{record._repr_html_()}</p>").iter("table")]


KINDS = ("stats", "result", "density", "evaluation", "comparison")


@pytest.mark.parametrize("kind", KINDS)
def test_repr_is_a_line(kind, shown):
    line = repr(shown[kind])
    assert line.startswith(f"<{type(shown[kind]).__name__}: ")
    assert len(line) < 120
    assert "\n" not in line


def test_tables_have_the_numbers(shown):
    stats = shown["stats"]
    squares, tokens = stats.sum_sq["translation"]["mlp_out"], stats.count["translation"]
    rms = np.sqrt(squares / tokens)
    row = ["mlp_out", "4", "512", f"{np.median(rms):.4g}", f"{rms.max():.4g}"]
    assert row in tables(stats)[0]
    assert ["mlp/up/kernel", "50.0"] in tables(shown["result"])[0]
    assert ["blocks/mlp/up/kernel", "50.0"] in tables(shown["density"])[0]
    evaluation, comparison = shown["evaluation"], shown["comparison"]
    figures = evaluation.table
    french = figures.loc["nano_nli", "fr"]
    accuracy, perplexity = tables(evaluation)
    assert accuracy[2][:2] == ["fr", "20"]
    assert accuracy[2][2].startswith(f"{100 * french.accuracy:.1f} [")
    text = figures.loc["perplexity", "fr"]
    tokens = f"{evaluation.perplexities['fr'].tokens:,}"
    measured = [f"{text.perplexity:.2f}", f"{text.bits_per_byte:.3f}"]
    assert perplexity[2] == ["fr", tokens, *measured]
    changed = comparison.table.loc["nano_nli", "accuracy", "fr"]
    both = [f"{100 * changed[name, 'value']:.1f}" for name in ("dense", "pruned")]
    accuracies, *_, bits = tables(comparison)
    assert accuracies[2][:4] == ["fr", "20", *both]
    assert bits[2][2] == measured[1]


def test_statistics_of_other_kinds_have_a_repr_and_no_norms():
    model = jp.load("nano")
    batches = jp.demonstrations(model.tokenizer, "nano", samples=2)
    stats = jp.probe(model, batches, statistics=["gram"], progress=False)
    assert "translation" in repr(stats)
    assert len(tables(stats)[0]) == 1
    for use in (
        lambda: jp.plot(stats),
        stats.to_pandas,
        lambda: jp.scores.wanda(model.params, stats),
    ):
        with pytest.raises(jp.InputError, match="stats: no squares; expected jaxprune"):
            use()


def test_the_frame_of_statistics_has_their_norms(shown):
    stats = shown["stats"]
    frame = stats.to_pandas()
    assert list(frame) == ["role", "language", "site", "layer", "feature", "norm"]
    assert {*frame.role} == {"translation"}
    assert {*frame.language} == {"fr"}
    for site, norms in stats.norms("translation").items():
        of = frame[frame.site == site].pivot(index="layer", columns="feature", values="norm")
        np.testing.assert_allclose(of.to_numpy(), norms, rtol=1e-6)


@pytest.mark.parametrize("kind", ["stats", "result", "density", "comparison"])
def test_plots_show_themselves(kind, shown):
    chart = shown[kind].plot() if kind == "comparison" else jp.plot(shown[kind])
    assert repr(chart).startswith("<Chart: ")
    assert len(repr(chart)) < 150
    drawn = ET.fromstring(chart._repr_svg_())
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    texts = " ".join(drawn.itertext())
    assert chart.title in texts
    for word in {
        "stats": ["mlp_out", "layer"],
        "result": ["mlp/out", "layer"],
        "density": ["layer"],
        "comparison": ["fr", "perplexity"],
    }[kind]:
        assert word in texts


@pytest.mark.parametrize("room", ["masks", "scores", "checkpoint"])
def test_dir_lists_what_the_reference_lists(room):
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    names = dir(getattr(jp, room))
    assert names
    assert not [name for name in names if name.startswith("_")]
    if room == "scores":
        assert {*names} == {*CRITERIA, "tree_scores"}
    else:
        section = page.split(f"`jp.{room}`")[1].split("members: [")[1]
        listed = {*section.split("]")[0].split(", ")}
        assert {*names} == listed | ({"Shares"} if room == "masks" else set())
    assert {*dir(jp)} == {*jp.__all__}


BAD = {
    "no such setting": ({"sweep": {"sparsity": 0.3}}, r"sweep\.sparsity: no such field; did you mean"),
    "not of a sweep": ({"recovery": {"run": "a"}}, r"recovery\.run: no such field"),
    "no group": ({"calibration": 3}, "calibration: no such field; its fields are"),
    "value": ({"sweep": {"grid": {"pruning.sparsity": [3]}}}, r"sweep\.grid: pruning\.sparsity: got 3; expected"),
    "model": ({"model": 3}, "model: got 3; expected"),
}  # fmt: skip


@pytest.mark.wrong_types
@pytest.mark.parametrize("case", BAD)
def test_bad_settings_of_a_sweep_are_rejected(case, tmp_path):
    given, message = BAD[case]
    with pytest.raises(jp.InputError, match=f"^{message}"):
        jp.sweep(**{"model": "nano", "workdir": tmp_path / "run", **given})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebooks_need_the_package_alone(path):
    """They import nothing that the wheel does not bring, and read nothing of the repository."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code")
    imports = {
        line.split()[1].split(".")[0]
        for line in code.splitlines()
        if line.startswith(("import ", "from "))
    }
    assert imports <= {*sys.stdlib_module_names, "jaxprune", "IPython"}
    assert "jaxprune/nano" not in code
    assert "scripts/" not in code
