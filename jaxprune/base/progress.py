"""Progress bar of a long pass, and the seconds of its stages."""

import functools
import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm


class PassBar:
    """A bar that counts the steps of a pass and shows its tokens a second and the time left."""

    def __init__(self, bar: Any, tokens: int) -> None:
        self._bar = bar
        self._tokens = tokens

    def show(self, text: str) -> None:
        """Shows a text after the bar, such as a loss, until the next one."""
        self._bar.set_postfix_str(text)

    def update(self, steps: int = 1) -> None:
        """Advances the bar."""
        if self._tokens:
            share = (self._bar.n + steps) / self._bar.total
            elapsed = self._bar.format_dict["elapsed"]
            speed = share * self._tokens / max(elapsed, 1e-9)
            self._bar.set_postfix_str(f"{speed:,.0f} tokens/s", refresh=False)
        self._bar.update(steps)


class NotebookLines(io.TextIOBase):
    """The file of the bars of a cell in a notebook: an output with a line for each bar that is not full.

    A cell that was executed therefore keeps no line of its bars.
    """

    def __init__(self, display: Callable[..., Any]) -> None:
        self._output = display({}, raw=True, display_id=True)
        self._lines: dict[int, str] = {}
        self._row = 0

    def write(self, text: str) -> int:
        """Shows or clears the line of a bar, or moves to that of another bar."""
        if text.startswith("\r"):
            self._lines[self._row] = text.strip()
            shown = "\n".join(line for _, line in sorted(self._lines.items()) if line)
            self._output.update({"text/plain": shown} if shown else {}, raw=True)
        else:
            self._row += text.count("\n") - text.count("\x1b[A")
        return len(text)


class LogLines(io.TextIOBase):
    """The file of bars that no terminal shows: stderr, a line each time, without moves of the cursor."""

    def write(self, text: str) -> int:
        """Writes the line of a bar."""
        if line := text.replace("\x1b[A", "").strip():
            print(line, file=sys.stderr, flush=True)
        return len(text)


@functools.lru_cache(maxsize=1)
def _lines_of_cell(_: int) -> NotebookLines:
    return NotebookLines(sys.modules["IPython.display"].display)


def tqdm_bar(total: int, shown: bool, **options: Any) -> tqdm:
    """A bar of tqdm on stderr, or in a notebook, which it leaves when it is full; silent unless `shown`.

    In a log it is a line every 30 seconds.

    Args:
      options: further arguments of `tqdm`.
    """
    python = sys.modules.get("IPython")
    shell: Any = python and python.get_ipython()
    if shown and hasattr(shell, "kernel"):
        file = _lines_of_cell(shell.execution_count)
        return tqdm(total=total, file=file, leave=False, **options)
    if shown and not sys.stderr.isatty():
        return tqdm(total=total, file=LogLines(), mininterval=30, **options)
    # leave=None: a bar inside another one, such as a sweep's, goes when it is full
    return tqdm(total=total, disable=not shown, leave=None, **options)


@contextmanager
def progress_bar(
    name: str, steps: int, tokens: int, shown: bool, *, unit: str = "layers"
) -> Iterator[PassBar]:
    """A bar over the steps of a pass; silent unless `shown`.

    Args:
      name: label in front of the bar.
      steps: number of steps.
      tokens: tokens of the whole pass, for the speed; 0 shows none.
      unit: name of a step, in the plural.
    """
    bar_format = (
        f"{{desc}} {{n_fmt}}/{{total_fmt}} {unit} |{{bar}}| {{elapsed}} < {{remaining}} {{postfix}}"
    )
    with tqdm_bar(steps, shown, desc=name, bar_format=bar_format) as steps_bar:
        yield PassBar(steps_bar, tokens)


def say(line: str) -> None:
    """Prints a line on stderr, apart from a bar that another thread may show there."""
    with tqdm.external_write_mode(sys.stderr):
        print(line, file=sys.stderr, flush=True)


class Clock:
    """Seconds by stage; the first one began at `began`, as by `time.perf_counter()`, or now."""

    def __init__(self, began: float | None = None) -> None:
        self._last = time.perf_counter() if began is None else began
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Adds the time since the last lap to `stage`."""
        now = time.perf_counter()
        self._laps[stage] = self._laps.get(stage, 0.0) + now - self._last
        self._last = now

    def take(self) -> dict[str, float]:
        """Returns the seconds by stage and resets them."""
        laps, self._laps = self._laps, {}
        return laps

    def rounded(self) -> dict[str, float]:
        """Returns the seconds by stage, rounded to milliseconds for a report, and resets them."""
        return {stage: round(seconds, 3) for stage, seconds in self.take().items()}
