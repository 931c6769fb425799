"""`--plan` of recover and shrink: their numbers are those of the runs, and nothing is written."""

import json
import re

import pytest
from run_scripts import run_here

FEW = ("--config.calibration.samples=16", "--config.calibration.max_length=64")


@pytest.fixture
def run(monkeypatch, capfd):
    """Runs a command with the bundled model; returns its output."""

    def run_command(name, workdir, *arguments):
        done = run_here(
            monkeypatch, capfd, name, "--config=nano", f"--workdir={workdir}", *arguments
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_command


def row(said, name):
    return re.search(rf"^ *{name} +(.*)", said, re.MULTILINE)[1]


def size_of(text):
    number, unit = re.match(r"([\d.,]+) (MB|GB)", text).groups()
    return float(number) * {"MB": 1e6, "GB": 1e9}[unit]


def test_a_smaller_model_has_the_planned_sizes(run, tmp_path):
    cuts = (
        "--config.shrink.vocabulary=nano",
        "--config.shrink.layers=3",
        "--config.shrink.mlp=0.5",
    )
    said = run("shrink", tmp_path / "run", *cuts, *FEW, "--plan")
    assert not (tmp_path / "run").exists()
    run("shrink", tmp_path / "run", *cuts, *FEW)
    config = json.loads((tmp_path / "run/hf/config.json").read_text())
    assert row(said, "smaller").startswith("3 blocks, ")
    assert row(said, "smaller").endswith(f" {config['vocab_size']:,} tokens")
    written = sum(file.stat().st_size for file in (tmp_path / "run/hf").glob("*.safetensors"))
    assert size_of(row(said, "written")) == pytest.approx(written, rel=0.05)


@pytest.mark.parametrize(
    ("how", "blocks"), [("block", None), ("window", 2), ("distil", None), ("distil", 2)]
)
def test_a_recovery_has_the_planned_fits(how, blocks, run, tmp_path):
    run("prune", tmp_path / "pruned", *FEW)
    fields = (f"--config.recovery.run={tmp_path / 'pruned'}", f"--config.recovery.how={how}", *FEW)
    if blocks:
        fields += (f"--config.recovery.blocks={blocks}",)
    said = run("recover", tmp_path / "run", *fields, "--plan", "--config.recovery.epochs=1")
    assert not (tmp_path / "run").exists()
    run("recover", tmp_path / "run", *fields, "--config.recovery.epochs=1")
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert row(said, "windows").startswith(f"{len(report['losses'])}, of ")
    written = sum(file.stat().st_size for file in (tmp_path / "run/hf").glob("*.safetensors"))
    assert size_of(row(said, "written")) == pytest.approx(written, rel=0.05)
    elsewhere = run("recover", tmp_path / "run", *fields, "--plan", "--chip=v5e-8", "--overwrite")
    assert "published rate of v5e-8" in row(elsewhere, "at least")


def test_masters_grow_with_the_blocks_of_a_fit(run, tmp_path):
    """Of four blocks, distillation has four times the masters, moments and gradients of a block."""
    run("prune", tmp_path / "pruned", *FEW)
    fields = (f"--config.recovery.run={tmp_path / 'pruned'}", *FEW, "--plan")
    fitted = {
        how: size_of(re.search("fitted (.*?),", run("recover", tmp_path / "run", *fields, how))[1])
        for how in ("--config.recovery.how=block", "--config.recovery.how=distil")
    }
    block, whole = fitted.values()
    assert whole == pytest.approx(4 * block, rel=0.02)
