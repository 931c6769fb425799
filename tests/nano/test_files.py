"""The data files of the package: what the generator makes, all of them shipped; the script that writes them."""

import subprocess
import sys
import tomllib
from pathlib import Path

import jaxprune
from jaxprune.data.nano import NANO_LANGUAGES
from nano import files, grammar

ROOT = Path(__file__).parents[2]
PACKAGE = Path(jaxprune.__file__).parent
DATA = ("calibration", "nli", "perplexity", "reviews", "translation")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for name in DATA
        for file in (folder / name).rglob("*")
        if file.is_file()
    }


def test_the_package_holds_what_the_generator_makes(tmp_path: Path) -> None:
    files.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == list(DATA)
    made, shipped = contents(tmp_path), contents(PACKAGE / "nano")
    assert len(made) == 5 * (3 + 2 + 2)
    assert made.keys() == shipped.keys()
    assert [name for name in made if made[name] != shipped[name]] == []


def test_files_are_small_and_of_as_many_lines_as_said() -> None:
    shipped = contents(PACKAGE / "nano")
    assert sum(map(len, shipped.values())) < 3e6
    for name, text in shipped.items():
        assert text.count(b"\n") == (997 if name.startswith("calibration") else 1000)


def test_languages_stand_in_the_order_of_the_grammars() -> None:
    assert list(grammar.LANGUAGES) == list(NANO_LANGUAGES)


def test_the_wheel_takes_all_files() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    taken = {file for p in setuptools["package-data"]["jaxprune"] for file in PACKAGE.glob(p)}
    there = {file for file in PACKAGE.rglob("*") if file.is_file()}
    assert {file.suffix for file in there - taken} <= {".py", ".pyc"}


def test_the_script_runs_from_anywhere_and_wants_a_workdir(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "train_nano.py"
    ran = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "--workdir must have a value, except with --text" in ran.stderr
