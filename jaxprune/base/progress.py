"""Steps of a long pass → its progress bar, and the seconds of its stages."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm


class PassBar:
    """A bar that counts the steps of a pass and shows its tokens a second and the time left."""

    def __init__(self, bar: Any, tokens: int) -> None:
        self._bar = bar
        self._tokens = tokens

    def show(self, text: str) -> None:
        """A text after the bar, such as a loss, until the next one."""
        self._bar.set_postfix_str(text)

    def update(self) -> None:
        """One more step is done."""
        if self._tokens:
            share = (self._bar.n + 1) / self._bar.total
            elapsed = self._bar.format_dict["elapsed"]
            speed = share * self._tokens / max(elapsed, 1e-9)
            self._bar.set_postfix_str(f"{speed:,.0f} tokens/s", refresh=False)
        self._bar.update()


@contextmanager
def progress_bar(
    name: str, steps: int, tokens: int, shown: bool, *, unit: str = "layers"
) -> Iterator[PassBar]:
    """A bar over the steps of a pass; silent unless `shown`.

    Args:
      name: what stands before the bar.
      steps: how many there are.
      tokens: that the whole pass takes through all its steps; 0 shows no speed.
      unit: what a step is, in the plural.
    """
    with tqdm(
        total=steps,
        desc=name,
        disable=not shown,
        leave=None,  # a bar inside another one, such as a sweep's, goes when it is full
        bar_format=f"{{desc}} {{n_fmt}}/{{total_fmt}} {unit} "
        "|{bar}| {elapsed} < {remaining} {postfix}",
    ) as bar:
        yield PassBar(bar, tokens)


def say(line: str) -> None:
    """Writes a line to stderr that is one of its own, though a bar may be shown there by another thread."""
    with tqdm.external_write_mode(sys.stderr):
        print(line, file=sys.stderr, flush=True)


class Clock:
    """Seconds by stage; the first one began at `began`, as by `time.perf_counter()`, or now."""

    def __init__(self, began: float | None = None) -> None:
        self._last = time.perf_counter() if began is None else began
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """The time since the last lap belongs to `stage`."""
        now = time.perf_counter()
        self._laps[stage] = self._laps.get(stage, 0.0) + now - self._last
        self._last = now

    def take(self) -> dict[str, float]:
        """The laps so far; starts afresh."""
        laps, self._laps = self._laps, {}
        return laps

    def rounded(self) -> dict[str, float]:
        """The laps in milliseconds' precision, for a report; starts afresh."""
        return {stage: round(seconds, 3) for stage, seconds in self.take().items()}
