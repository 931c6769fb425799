"""What is imported when: JAX not before a name is used, and of the package what that name needs."""

import subprocess
import sys
from pathlib import Path

import pytest
from ci_packages import needs
from missing import without

import jaxprune as jp

ROOT = Path(__file__).parents[1]
HEAVY = (
    "jax", "flax", "numpy", "orbax.checkpoint", "huggingface_hub", "transformers", "vl_convert",
)  # fmt: skip
SUBPACKAGES = ("evaluation", "analysis", "report", "config", "runs", "steps", "search", "pages")


def imported(work, *modules):
    """Those of the modules that a new process has after the work."""
    program = f"{work}\nimport sys\nprint(*({ {*modules} } & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_nothing_is_imported_before_a_name_is_used():
    work = "import jaxprune.cli.main, jaxprune.base.ending"
    assert imported(work, "jaxprune.base.errors", *HEAVY) == {"jaxprune.base.errors"}


def test_who_loads_a_model_does_not_wait_for_the_rest():
    brought = imported("import jax; from flax import nnx", *HEAVY)  # of these we are not the cause
    above = [f"jaxprune.{name}" for name in SUBPACKAGES]
    got = imported("import jaxprune; jaxprune.load", "jaxprune.hf", *above, *HEAVY)
    assert got - brought == {"jaxprune.hf"}


@pytest.mark.parametrize("name", ["pruning.masks", "pruning.scores", "steps.checkpoint"])
def test_a_module_of_the_api_needs_no_other_name_before_it(name):
    module = f"jaxprune.{name}"
    work = f"import jaxprune; jaxprune.{name.partition('.')[2]}"
    assert imported(work, module) == {module}


PROGRAM = """
import sys
import jaxprune as jp

assert all(hasattr(jp, name) for name in jp.__all__)
model = jp.load("nano/xglm")
batches = jp.demonstrations(model.tokenizer, "nano", samples=2, shots=1, max_length=32)
result = jp.prune(model, criterion="magnitude", sparsity=0.5, progress=False)
scores = jp.scores.wanda(model.params, jp.probe(model, batches, progress=False))
assert jp.masks.density(jp.masks.keep(scores, sparsity=0.5)).overall == 0.5
jp.checkpoint.save(f"{sys.argv[1]}/checkpoint", masks=result.masks)
restored = jp.checkpoint.restore(f"{sys.argv[1]}/checkpoint").masks
assert jp.masks.overlap(restored, result.masks).overall == 1
jp.export_hf(model, result.params, f"{sys.argv[1]}/hf")
assert jp.load(f"{sys.argv[1]}/hf").size == model.size
try:
    import ml_collections
except ModuleNotFoundError:
    print("done")
"""


def test_python_api_without_what_only_scripts_and_pictures_need(tmp_path):
    (tmp_path / "missing").mkdir()
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False,
        env=without(tmp_path / "missing", "ml_collections", "vl_convert"),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout == "done\n"


def test_a_config_of_ml_collections_ends_at_the_door():
    package = ROOT / "jaxprune"
    files = {file for file in package.rglob("*.py") if "ml_collections" in file.read_text()}
    assert files == {package / "cli/config" / "validate.py"}


def test_every_name_is_there_and_listed():
    assert set(jp.__all__) <= set(dir(jp))
    for name in jp.__all__:
        assert getattr(jp, name) is not None, name
    for name in ("nosuch", "__nosuch__"):
        with pytest.raises(AttributeError, match=f"attribute {name}"):
            getattr(jp, name)


def test_tools_that_read_types_see_every_name(tmp_path):
    needs("mypy")
    from mypy import api

    program = tmp_path / "program.py"
    program.write_text("import jaxprune\n" + "".join(f"jaxprune.{name}\n" for name in jp.__all__))
    arguments = ["--no-implicit-reexport", "--follow-imports=skip", f"--cache-dir={tmp_path}"]
    found, _, code = api.run([*arguments, str(program), f"{jp.__file__}i"])
    assert code == 0, found
    program.write_text("import jaxprune\njaxprune.nosuch\n")
    found, _, code = api.run([*arguments, str(program), f"{jp.__file__}i"])
    assert 'has no attribute "nosuch"' in found
