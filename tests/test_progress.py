"""The progress bar: what it counts, and the speed that it shows."""

import re
import sys
from types import SimpleNamespace

from jaxprune.base.progress import PassBar, progress_bar, say


def test_speed_is_the_share_of_the_tokens_by_the_seconds():
    shown = []
    bar = SimpleNamespace(
        n=2, total=4, format_dict={"elapsed": 5.0}, update=lambda steps: None,
        set_postfix_str=lambda text, refresh: shown.append(text),
    )  # fmt: skip
    PassBar(bar, 12_000).update()  # three of four steps in five seconds
    PassBar(bar, 0).update()
    assert shown == ["1,800 tokens/s"]


def test_a_bar_names_what_it_counts(capsys):
    with progress_bar("score", 3, 300, True, unit="steps") as bar:
        for _ in range(3):
            bar.update()
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("score 3/3 steps |")
    assert " tokens/s" in last
    with progress_bar("prune", 3, 300, False) as bar:
        bar.update()
    assert capsys.readouterr().err == ""


def test_a_log_has_lines_without_moves_of_the_cursor(capsys):
    with progress_bar("sweep", 2, 0, True), progress_bar("prune", 3, 0, True) as inner:
        inner.update(3)
    log = capsys.readouterr().err
    assert not re.search(r"[\r\x1b]", log)
    assert [line.split(" |")[0] for line in log.splitlines()] == [
        "sweep 0/2 layers", "prune 0/3 layers", "prune 3/3 layers", "sweep 0/2 layers",
    ]  # fmt: skip


def test_an_error_is_told_on_a_line_of_its_own_while_a_bar_is_shown(capsys):
    with progress_bar("prune", 3, 0, True) as bar:
        bar.update()
        say("error: ended by SIGHUP")  # as the thread does that hears of signals
        assert "error: ended by SIGHUP" in re.split(r"[\r\n]+", capsys.readouterr().err)


def test_bars_leave_nothing_in_a_notebook(monkeypatch, capsys):
    shown = []

    class Output:
        def __init__(self, data, raw, display_id):
            shown.append(data)

        def update(self, data, raw):
            shown.append(data)

    shell = SimpleNamespace(kernel="of a notebook", execution_count=-1)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=Output))
    with progress_bar("sweep", 2, 0, True) as outer, progress_bar("prune", 3, 0, True) as inner:
        inner.update()
        outer.update()
    lines = [data.get("text/plain", "").split("\n") for data in shown]
    assert any(
        [line.split(" layers")[0] for line in pair] == ["sweep 0/2", "prune 0/3"] for pair in lines
    )
    assert shown[-1] == {}
    assert capsys.readouterr().err == ""
