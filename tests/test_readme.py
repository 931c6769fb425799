"""What README, CONTRIBUTING and docs/ name is there, and README's code runs as it stands."""

import importlib.util
import re
from pathlib import Path

import pytest
import readme
from cells import with_numbers
from page_programs import programs, run

import jaxprune as jp
from jaxprune.cli.config.record import FIELDS
from jaxprune.cli.config.validate import validate

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / name
    for name in (
        "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md", "docs/guide/prune.md",
        "docs/guide/files.md", "tpu/README.md",
    )
]  # fmt: skip
# Made by a run or proposed only, not part of the repository.
ELSEWHERE = {
    "checkpoint/", "stats/", "hf/", "figures/", "utils.py", "progress/", "perplexity/", "translation/", "compare/",
    "compare.md", "tables.md",
}  # fmt: skip
README = DOCUMENTS[0].read_text(encoding="utf-8")
PROGRAMS = programs(README)
PRUNING = (ROOT / "docs" / "guide" / "prune.md").read_text(encoding="utf-8")
CONFIGS = sorted({*re.findall(r"configs/\w+\.py(?::[\w./-]+)?", README + PRUNING)})


def named_files(text):
    """Links, and whatever in backticks looks like a file of the repository."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    quoted = re.findall(r"`([\w./-]+\.(?:py|md|yaml|toml)|\.ci/run|[\w.]+/)(?:[: ][^`]*)?`", text)
    return links, quoted


def exists(document, name):
    """In the repository, beside the document, or (as docs/architecture.md has it) anywhere in the package."""
    is_there = any((base / name).exists() for base in (ROOT, document.parent))
    return is_there or any((ROOT / "jaxprune").rglob(name))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_named_is_there(document):
    links, quoted = named_files(document.read_text(encoding="utf-8"))
    expected = {*links, *quoted} - ELSEWHERE
    assert [name for name in expected if not exists(document, name)] == []
    assert len(links) + len(quoted) >= 2


def test_it_is_short():
    assert len(README.split()) <= 700


def test_its_results_are_made_of_the_scores():
    results = readme.RESULTS.read_text(encoding="utf-8")
    assert with_numbers(results, readme.numbers()) == results
    assert len(re.findall("<!--n ", results)) > 5
    output = readme.OUTPUT.read_text(encoding="utf-8")
    assert readme.written(README, results, output) == README
    assert output in README
    assert "<!--" not in README


def test_every_field_set_in_a_command_is_one():
    fields = re.findall(r"--config\.([a-z_.]+)=", README + PRUNING)
    assert set(fields) <= set(FIELDS)
    assert len(fields) > 3


@pytest.mark.parametrize("named", CONFIGS)
def test_every_config_named_is_valid(named):
    file, _, argument = named.partition(":")
    spec = importlib.util.spec_from_file_location("config_under_test", ROOT / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(*([argument] if argument else []))
    assert validate(config).model


def test_the_test_command_is_the_one_that_ci_runs():
    last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]
    assert last.startswith("python -m pytest")
    assert f".venv/bin/{last}\n" in README


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_the_programs_run(program, tmp_path, monkeypatch, capsys):
    names = run("README.md", [program], tmp_path, monkeypatch)
    folder = next(tmp_path.glob("runs/*/hf"))
    reread, model = jp.load(folder), names["model"]
    for path, site in names["stats"].sites:
        part, kernel, _ = path.split("/")
        old, new = (m.block(0)[part][kernel]["kernel"] for m in (model, reread))
        dropped = int(old.shape[0] * 0.3)
        assert ((new == 0) & (old != 0)).sum(axis=0).tolist() == [dropped] * old.shape[1], site
    density, overlap = map(float, capsys.readouterr().out.split())
    assert 0.4 < density < 0.7
    assert 0.4 < overlap < 1
