"""The page in headless Chromium: no error, no request, everything visible and legible on any screen."""

import browser
import numpy as np
import pytest
from report_runs import make_runs

from jaxprune.base.text import Table
from jaxprune.pages.page import write_report
from jaxprune.report.charts.heatmap import heatmap
from jaxprune.report.charts.lines import Line, line_chart
from jaxprune.report.charts.rows import Estimate, interval_chart
from jaxprune.report.document import Charts, Section, page, write_page


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    dense, pruned = make_runs(folder)
    found = {name: folder / f"{name}.html" for name in ("run", "compare", "large")}
    write_report(pruned, (), found["run"])
    write_report(pruned, [dense], found["compare"])
    write_page(large_page(), found["large"])
    return found


def large_page():
    """More languages, layers and systems than most runs have, and longer names."""
    rng = np.random.default_rng(0)
    codes = ["en", "zho_Hans", *(f"l{i:02}_Latn" for i in range(30))]
    systems = ["dense", "random", "monolingual", "translation", "translation_vs_code", "LRP2"]
    series = {
        name: {code: Estimate(v, v - 3, v + 3) for code, v in zip(codes, values, strict=True)}
        for name, values in zip(systems, rng.random((6, 32)) * 60 + 30, strict=True)
    }
    changes = {
        code: Estimate(v, v - 2, v + 2, "better" if v > 0 else "unclear")
        for code, v in zip(codes, rng.normal(size=32), strict=True)
    }
    lines = [Line(name, rng.random(48) * 10**4, i) for i, name in enumerate(systems)]
    layers = [str(i) for i in range(48)]
    charts = Charts([
        interval_chart(series, title="Accuracy of every system in every language", unit="%"),
        interval_chart({"": changes}, title="Change", unit="points"),
        line_chart(lines, title="t", y_title="RMS", log=True),
        heatmap(rng.random((32, 48)) * 10**4, codes, layers, title="By layer", x_title="layer"),
        heatmap(rng.random((12, 12)) * 100, codes[:12], codes[:12], title="Pairs"),
        heatmap(rng.random((2, 3)) * 1e6, ["a", "b"], ["a" * 60, "y", "z"], title="Few"),
    ])  # fmt: skip
    rows = [[code, *map(str, rng.random(20)), "x" * 60] for code in codes]
    wide = Table("wide", ["language", *map(str, range(21))], rows)
    sections = [Section("all", "b" * 60, [charts]), Section("t", "Table", [wide])]
    return page("a" * 60, [], sections)


@pytest.mark.parametrize(("width", "scheme"), browser.VIEWS, ids=lambda value: str(value))
@pytest.mark.parametrize("name", ["run", "compare", "large"])
def test_the_page_in_a_browser(chromium, files, name, width, scheme):
    chromium.open(files[name], width=width, scheme=scheme)
    assert browser.faults(chromium, width) == []
    assert (
        chromium.run("document.querySelectorAll('figure svg[role=img], .scroll img').length") >= 6
    )
    paper = chromium.run("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]


def test_errors_of_a_page_would_be_seen(chromium, tmp_path):
    """What the test above looks for is found where it is there."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!DOCTYPE html><link rel='stylesheet' href='http://example.invalid/a.css'>"
        "<script>console.error('seen'); throw Error('too')</script>"
        "<div style='width: 900px; height: 1px'></div><p style='font-size: 9px'>small</p>"
        "<figure><svg role='img' width='50' height='50'><title>t</title>"
        "<text x='10' y='20'>one</text><text x='12' y='22'>two</text></svg></figure>"
    )
    chromium.open(bad, width=375)
    chromium.run("1")  # whatever was told before the answer is in
    found = str(browser.complaints(chromium))
    assert all(word in found for word in ("seen", "Error: too", "http://example.invalid/a.css"))
    assert chromium.run("document.documentElement.scrollWidth") > 375
    assert chromium.run(browser.SMALL_TEXTS) == ["small"]
    assert chromium.run(browser.CHART_FAULTS) == ["t: one and two overlap"]
