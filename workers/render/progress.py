"""Progress that is true: every stage weighs what it costs, and the percentage never goes back."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from workers.render.text import replace_surrogates, truncate_middle

Stage = Literal["plan", "open", "draw", "compose", "encode", "tiles", "manifest"]


# Whoever watches hears this often that a long step still works (seconds).
KEEP_ALIVE_INTERVAL = 0.5


@dataclass(frozen=True)
class Step:
    """Where a render is: `percent` 0 to 100, the stage it is in, and the layer where one is being worked on."""

    percent: int
    stage: Stage
    layer: str = ""


def ignore_progress(_step: Step) -> None:
    """Take no notice of a step."""


class ProgressReporter:
    """Turns stages and fractions into monotonic percentages.

    `weights` gives each stage's share of the whole in any unit, in the order in which the stages run.
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
        """Report `stage` as done to `fraction` (0 to 1); where nothing a reader sees has changed, as `beat` does."""
        before = 0.0
        for name, weight in self._weights.items():
            if name == stage:
                before += weight * min(max(fraction, 0.0), 1.0)
                break
            before += weight
        percent = max(self._last.percent, int(100 * before / self._total))
        step = Step(percent, stage, truncate_middle(replace_surrogates(layer)))
        if step == self._last:
            self.keep_alive()
        else:
            self._last = step
            self._emit()

    def keep_alive(self) -> None:
        """Report once more where the render is, if that was long ago. Cheap enough for every turn of a loop."""
        if self._clock() - self._last_emitted >= KEEP_ALIVE_INTERVAL:
            self._emit()

    def _emit(self) -> None:
        self._last_emitted = self._clock()
        self._report(self._last)
