"""Progress of a render: each stage counts by its share of the duration, and the percentage never falls."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from workers.render.text import replace_surrogates, truncate_middle

Stage = Literal["plan", "open", "draw", "compose", "encode", "tiles", "manifest"]

# Seconds between two reports of a long step without progress.
KEEP_ALIVE_INTERVAL = 0.5


@dataclass(frozen=True)
class Step:
    """Progress of a render: `percent` from 0 to 100, the current stage, and the current layer if there is one."""

    percent: int
    stage: Stage
    layer: str = ""


def ignore_progress(_step: Step) -> None:
    """Ignore a step."""


class ProgressReporter:
    """Converts stages and fractions to monotonic percentages.

    `weights` is the relative duration of each stage, in the order of the stages.
    """

    def __init__(
        self,
        report: Callable[[Step], None],
        weights: Mapping[Stage, float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._clock = clock
        self._last_emitted = clock()
        self._weights = weights
        self._total = sum(weights.values())
        self._last = Step(-1, "plan")

    def update(self, stage: Stage, fraction: float = 0.0, layer: str = "") -> None:
        """Report that `fraction` (0 to 1) of `stage` is done. If the step is the same, only `keep_alive`."""
        completed = 0.0
        for name, weight in self._weights.items():
            if name == stage:
                completed += weight * min(max(fraction, 0.0), 1.0)
                break
            completed += weight
        percent = max(self._last.percent, int(100 * completed / self._total))
        step = Step(percent, stage, truncate_middle(replace_surrogates(layer)))
        if step == self._last:
            self.keep_alive()
        else:
            self._last = step
            self._emit()

    def keep_alive(self) -> None:
        """Repeat the last report if it is older than KEEP_ALIVE_INTERVAL. Cheap enough for each iteration of a loop."""
        if self._clock() - self._last_emitted >= KEEP_ALIVE_INTERVAL:
            self._emit()

    def _emit(self) -> None:
        self._last_emitted = self._clock()
        self._report(self._last)
