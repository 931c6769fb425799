"""The commands of README and the guides run as they are printed, in their order, on a small model and small texts."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
import transformers
from run_scripts import exit_code

from jaxprune.base.workdir.json_files import REPORT
from jaxprune.data.nano import text_place
from jaxprune.nano import CHECKPOINTS
from jaxprune.recovery import in_time

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
# What the pages call models and texts.
MODELS = ("FOLDER", "MODEL", "google/gemma-3-270m", "bigscience/bloom-3b", "bigscience/bloom-7b1")
TEXTS = ("TEXTS", "TEXT")
OTHER_TEXTS = ("OTHER", "OTHERS", "HELDOUT", "FLORES")
LONG_TEXTS = ("NTREX", "openlanguagedata/flores_plus")  # of which pages name lines
CODE = "thomwolf/github-python"
LANGUAGES = {"en": "en", "fr": "fr", "sw": "sw", "ru": "fr", "zh": "sw"}  # and whose text stands in
LINES, LONG = 200, 1997
# Commands that need machines or programs that are not here; tests/test_cluster.py, tests/tpu and tests/buckets have
# those of clusters, TPUs and buckets.
ELSEWHERE = re.compile(
    r"s3://|gs://|/shared|/mnt|--distributed|runs/bloom-7b1|sentiment.toml|flores_full|jaxprune imatrix"
)
# On a model whose layers are small, and with few samples of what a page takes many.
FEWER = {
    "prune": ["--config.calibration.samples=6"],
    "quantize": ["--config.calibration.samples=6"],
    "shrink": ["--config.calibration.samples=6"],
    "recover": ["--config.calibration.samples=8"],
    "evaluate": ["--config.evaluation.perplexity_lines=0-19"],
}


def commands(page):
    """Script and arguments of each command of jaxprune in a page."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if ELSEWHERE.search(line) or not words:
                continue
            if words[0] == "jaxprune":
                yield words[1], words[2:]
            elif words[0] == "python" and words[1].startswith("scripts/"):
                yield Path(words[1]).stem, words[2:]


COMMANDS = {page.stem: found for page in PAGES if (found := [*commands(page)])}


def write_texts(folder, kind, count):
    """Lines of each language, from the bundled texts of a kind."""
    folder.mkdir()
    for code, own in LANGUAGES.items():
        text = Path(text_place("nano", kind), f"{own}.txt").read_text(encoding="utf-8")
        lines = text.splitlines()
        pairs = (
            (lines[i % len(lines)], lines[i // len(lines) * 7 % len(lines)]) for i in range(count)
        )
        (folder / f"{code}.txt").write_text("\n".join(map(" ".join, pairs)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """By name what the commands read."""
    folder = tmp_path_factory.mktemp("things")
    tokenizer = transformers.AutoTokenizer.from_pretrained(CHECKPOINTS["bloom"])
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=256, num_hidden_layers=18,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=512, tie_word_embeddings=True,
    )  # fmt: skip
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    texts = write_texts(folder / "texts", "calibration", LINES)
    other_texts = write_texts(folder / "other_texts", "translation", LINES)
    long_texts = write_texts(folder / "long_texts", "calibration", LONG)
    return {
        **dict.fromkeys(MODELS, folder / "model"),
        **dict.fromkeys(TEXTS, texts),
        **dict.fromkeys(OTHER_TEXTS, other_texts),
        **dict.fromkeys(LONG_TEXTS, long_texts),
        CODE: ROOT / "jaxprune" / "base",
        **{name: ROOT / name for name in ("scripts", "configs", "jaxprune")},
    }


@pytest.mark.parametrize("page", COMMANDS)
def test_the_commands_of_a_page_run_in_their_order(page, things, tmp_path, monkeypatch, capfd):
    for name, target in things.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(target)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(in_time, "chosen", lambda *_: (16, 1))  # of the time that a page gives
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")  # of this process JAX has its devices already
    for script, arguments in COMMANDS[page]:
        is_plan, reads_stats = "--plan" in arguments, "calibration.stats" in " ".join(arguments)
        fewer = [] if is_plan or reads_stats else FEWER.get(script, [])
        argv = [str(ROOT / "scripts" / f"{script}.py"), *arguments, *fewer]
        monkeypatch.setattr(sys, "argv", argv)
        code = exit_code(argv[0])
        assert code == 0, (shlex.join(argv), capfd.readouterr().err[-2000:])
        if "--workdir" in arguments and script != "evaluate" and not is_plan:
            assert (tmp_path / arguments[arguments.index("--workdir") + 1] / REPORT).is_file()


def test_most_commands_are_run():
    assert sum(map(len, COMMANDS.values())) > 20
    assert {"README", "pack", "quantize", "shrink", "choose", "methods", "prune"} <= COMMANDS.keys()
