"""Runs whose blocks lose different shares, which plan, card and page tell."""

import json
import math

import numpy as np
import pytest
from jobs import on_tokens

import jaxprune as jp
from jaxprune.models.model import kernel_shapes
from jaxprune.pages.job import run_from_config
from jaxprune.pages.page import write_report
from jaxprune.steps.identity import run_identity
from jaxprune.steps.planning.costs import operations
from jaxprune.steps.planning.plan import plan_from_config, print_plan


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    path, rng = tmp_path_factory.mktemp("tokens") / "tokens.npz", np.random.default_rng(1)
    np.savez(path, input_ids=rng.integers(0, 131, (5, 24)).astype(np.int32))
    return path


def rows_of(printed):
    return dict(line.split(None, 1) for line in printed.splitlines() if line.strip())


def test_the_content_of_a_file_is_of_the_job(tiny_folder, tokens, tmp_path):
    files = [tmp_path / name for name in ("one.json", "moved.json")]
    for file in files:
        file.write_text("[0.4, 0.6, 0.5]")
    model, batches = tiny_folder("bloom"), jp.token_batches(str(tokens))

    def identity(allocation):
        config = on_tokens(
            model, tokens, pruning__allocation=str(allocation), pruning__sparsity=0.5
        )
        return config, run_identity(jp.load(model), config.json(), batches)

    config, before = identity(files[0])
    assert config.pruning.allocation == '{"0": 0.4, "1": 0.6, "2": 0.5}'
    assert identity(files[1])[1] == before
    assert identity(config.pruning.allocation)[1] == before
    files[0].write_text("[0.4, 0.5, 0.6]")
    assert identity(files[0])[1] != before


def test_plan_card_and_page_show_the_layers(tiny_folder, tokens, tmp_path, capsys):
    file = tmp_path / "shares.json"
    file.write_text(json.dumps({"0": 0.3, "1": 0.7, "2": 0.5}))
    config = on_tokens(
        tiny_folder("bloom"), tokens, pruning__allocation=str(file), pruning__sparsity=0.5,
        pruning__ignore="*/mlp/out",
    )  # fmt: skip
    print_plan(config, plan_from_config(config))
    said = rows_of(capsys.readouterr().out)["sparsity"]
    assert said.startswith("50.0% of the kernels that are not ignored, ")
    assert "% by layer" in said

    run_from_config(config, tmp_path / "run")
    printed = capsys.readouterr().out
    assert "% by layer" in printed
    written = rows_of(printed)["written"]
    assert written == "run: report.json, config.json, checkpoint, stats, hf"
    card = (tmp_path / "run" / "hf" / "README.md").read_text()
    assert "- pruning.ignore: \\*/mlp/out\n" in card
    assert '- pruning.allocation: {"0": 0.3, "1": 0.7, "2": 0.5}: as listed for each block' in card
    assert '--config.pruning.allocation={"0": 0.3, "1": 0.7, "2": 0.5}' in card
    assert "--config.pruning.ignore=*/mlp/out" in card.replace("'", "")
    assert "% by layer" in card
    write_report(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Dropped by layer, %" in page


def test_the_plan_counts_the_pass_of_an_allocation(tiny_folder, tokens, capsys):
    """That of the dense model, through all of its blocks."""

    def counted(**fields):
        config = on_tokens(tiny_folder("bloom"), tokens, pruning__sparsity=0.5, **fields)
        plan = plan_from_config(config)
        print_plan(config, plan)
        rows = rows_of(capsys.readouterr().out)
        return float(rows["operations"].split(",")[0]), rows["sparsity"]

    owl, said = counted(pruning__allocation="owl")
    assert said == "50.0%, by layer as measured in passes of the dense model (owl)"
    alone, _ = counted(pruning__allocation="owl", pruning__criterion="magnitude")
    plain, _ = counted()
    assert plain < owl
    assert alone <= owl - plain < 1.2 * alone
    assert counted(pruning__allocation="alpha")[0] == plain


def test_the_plan_counts_the_passes_of_changed_models(tiny_folder, tokens):
    """A block runs for the dense model, and for each model with a kernel changed in it or below."""
    model = jp.load(tiny_folder("bloom"))
    settings = {"pruning__sparsity": 0.5, "pruning__criterion": "magnitude"}
    config = on_tokens(model.folder, tokens, pruning__allocation="predictions", **settings)
    plan = plan_from_config(config)
    kernels = [math.prod(shape) for shape in kernel_shapes(model.config).values()]
    runs, models = 0, 1
    for _ in range(model.config.n_layers):
        models += len(kernels)
        runs += models
    whole = 5 * 32 * model.config.n_layers  # one pass over all samples, with pads
    assert operations(plan.work) == 2 * sum(kernels) * (whole + 4 * 32 * runs)


@pytest.mark.parametrize("allocation", ["owl", "predictions"])
def test_the_page_shows_what_an_allocation_measured(allocation, tiny_folder, tokens, tmp_path):
    config = on_tokens(
        tiny_folder("bloom"), tokens, pruning__allocation=allocation, pruning__sparsity=0.5
    )
    run_from_config(config, tmp_path / "run")
    measured = json.loads((tmp_path / "run" / "report.json").read_text())["allocation"]["measured"]
    assert len(measured) == 3
    write_report(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Measured for the allocation" in page
    chart = page.split("Measured for the allocation")[-1].split("</figure>")[0]
    assert ("attention/qkv" in chart) == (allocation == "predictions")
