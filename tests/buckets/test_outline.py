"""The page of a run in a bucket: written beside it, without a download of its weights."""

import fsspec
import pytest
from jobs import job

from jaxprune.base.errors import InputError
from jaxprune.base.files import places, store
from jaxprune.base.files.store import Store
from jaxprune.cli.commands import compare, report
from jaxprune.pages.job import run_from_config
from jaxprune.runs.evaluate import evaluate_from_config

ADDRESS = "memory://bucket/runs/one"


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A store with a pruned and evaluated run."""
    monkeypatch.setitem(store._EXTRAS, "memory", "memory")
    fsspec.filesystem("memory").store.clear()
    run = tmp_path / "run"
    config = job("nano/bloom", "prune", calibration__data="nano", calibration__samples=2)
    run_from_config(config, run)
    evaluated = {"evaluation__tasks": "nano_nli", "evaluation__rows": 2}
    evaluate_from_config(job(str(run / "hf"), "evaluate", **evaluated), run)
    bucket = Store(ADDRESS, "--workdir")
    for file in run.rglob("*"):
        if file.is_file():
            bucket.upload(file, str(file.relative_to(run)))
    return bucket


def test_a_page_on_a_run_in_a_bucket_is_written_there(bucket, monkeypatch, capsys, tmp_path):
    downloaded, real = [], Store.download

    def download(self, names, folder):
        downloaded.extend(names := list(names))
        real(self, names, folder)

    monkeypatch.setattr(Store, "download", download)
    before = bucket.facts()
    report.main("jaxprune report", [ADDRESS])
    assert capsys.readouterr().out == f"written: {ADDRESS}/report.html\n"
    page = bucket.read("report.html").decode()
    assert "wanda" in page
    assert "nano_nli" in page
    assert not [name for name in downloaded if name.endswith(".safetensors")]
    after = bucket.facts()
    del after["report.html"]
    assert after == before  # the card too
    report.main("jaxprune report", [ADDRESS, "--out", str(tmp_path / "page.html")])
    assert (tmp_path / "page.html").read_text() == page


def test_errors_name_the_address_of_a_damaged_run(bucket, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    places._downloaded.cache_clear()
    bucket.write("nano_nli/scores.npz", b"damaged")
    commands = [(report, [ADDRESS]), (compare, [ADDRESS, ADDRESS, "--out", str(tmp_path / "out")])]
    for command, arguments in commands:
        with pytest.raises(InputError, match=f"^{ADDRESS}/nano_nli"):
            command.main("jaxprune", arguments)
