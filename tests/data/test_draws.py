"""Draws: disjoint parts of the text, by whole documents, and of the files of code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.data.demonstrations import sampled_lines
from jaxprune.data.draws import lines_of_draw
from jaxprune.data.texts import code_samples
from jaxprune.stats.config import CalibrationFields


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 5))
def test_draws_hold_every_line_once_and_documents_whole(documents, count):
    draws = [lines_of_draw(documents, f"{own}/{count}") for own in range(1, count + 1)]
    assert sorted(np.concatenate(draws).tolist()) == list(range(len(documents)))
    held = [{documents[line] for line in draw} for draw in draws]
    assert sum(map(len, held)) == len({*documents})
    largest = max((documents.count(one) for one in documents), default=0)
    sizes = [len(draw) for draw in draws]
    assert max(sizes) - min(sizes) <= largest


@pytest.fixture
def folder(tmp_path):
    """Forty lines in documents of one to seven lines, which do not coincide with runs of ten."""
    for code in ("fr", "en"):
        lines = (f"{code} {number}" for number in range(40))
        (tmp_path / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def of_draws(folder, kind):
    """The digests of the lines in the samples of each of three draws."""
    how = {"kind": kind, "data": str(folder), "samples": 2, "shots": 3}
    fields = [CalibrationFields(**how, draw=f"{own}/3") for own in (1, 2, 3)]
    return [{*sampled_lines(one, 0, "corrected")} for one in fields]


@pytest.mark.parametrize("kind", ["monolingual", "translation", "shuffled", "unpaired"])
def test_samples_of_two_draws_share_no_line(kind, folder):
    found = of_draws(folder, kind)
    sides = 1 if kind == "monolingual" else 2
    assert [len(lines) for lines in found] == [6 * sides] * 3
    assert len(set.union(*found)) == 18 * sides


def test_documents_of_the_index_stay_whole(folder):
    document = [f"d{number // 7}" for number in range(40)]
    rows = "".join(f"{number}\t{name}\n" for number, name in enumerate(document))
    (folder / "index.tsv").write_text(f"line\tdocument\n{rows}", encoding="utf-8")
    tokenizer = jp.load("nano/bloom").tokenizer
    seen = []
    for own in (1, 2):
        batches = jp.demonstrations(
            tokenizer, folder, kind="monolingual", shots=5, samples=3, draw=f"{own}/2",
            lines="2-39",
        )  # fmt: skip
        text = " ".join(tokenizer.decode(row) for batch in batches for row in batch.tokens)
        numbers = [int(word) for word in text.replace("</s>", " ").split() if word.isdigit()]
        assert min(numbers) >= 2
        seen.append({document[number] for number in numbers})
    assert not seen[0] & seen[1]


def test_files_of_code_are_divided(tmp_path):
    for number in range(12):
        (tmp_path / f"m{number}.py").write_text(f"x = {number}\n", encoding="utf-8")
    draws = [code_samples(tmp_path, 4, 0, f"{own}/3") for own in (1, 2, 3)]
    everything = code_samples(tmp_path, 12, 0)
    assert draws == [everything[own::3] for own in range(3)]
    with pytest.raises(InputError, match=r"12 Python files, 4 of them .*, in draw 1/3; .* is 5"):
        code_samples(tmp_path, 5, 0, "1/3")


@pytest.mark.parametrize("draw", ["0/2", "3/2", "2", "1/0", "2/5 ", 2, "-1/2"])
def test_draws_that_are_refused(draw, folder):
    tokenizer = jp.load("nano/bloom").tokenizer
    with pytest.raises(InputError, match=r"calibration.draw: got .* expected one of several draws"):
        jp.demonstrations(tokenizer, folder, samples=2, draw=draw)
