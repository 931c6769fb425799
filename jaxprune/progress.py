"""The progress bar of long passes, and the seconds of their stages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm


class LayerBar:
    """A bar that counts layers and shows tokens a second and the time left."""

    def __init__(self, bar: Any, tokens: int) -> None:
        self._bar = bar
        self._tokens = tokens

    def update(self) -> None:
        """One more layer is done."""
        done = (self._bar.n + 1) * self._tokens
        elapsed = self._bar.format_dict["elapsed"]
        if self._tokens:
            self._bar.set_postfix_str(
                f"{done / max(elapsed, 1e-9):,.0f} layer-tokens/s", refresh=False
            )
        self._bar.update()


@contextmanager
def progress_bar(name: str, layers: int, tokens: int, shown: bool) -> Iterator[LayerBar]:
    """A bar over `layers`, each of which sees `tokens` tokens; silent unless `shown`."""
    with tqdm(
        total=layers,
        desc=name,
        unit="layer",
        disable=not shown,
        leave=None,  # a bar inside another one, such as a sweep's, goes when it is full
        bar_format="{desc} {n_fmt}/{total_fmt} layers |{bar}| {elapsed} < {remaining} {postfix}",
    ) as bar:
        yield LayerBar(bar, tokens)


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
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
