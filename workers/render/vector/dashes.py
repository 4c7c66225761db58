"""Limit the number of dashes: a line with too many is drawn solid.

A dash takes some 5 microseconds and 16 bytes. A very long line, or a linetype scaled to almost zero, has billions.
"""

from collections.abc import Callable
from itertools import pairwise
from math import inf

from ezdxf.addons.drawing.config import Configuration
from ezdxf.addons.drawing.pipeline import AbstractPipeline, LinetypeStage2d, RenderPipeline2d
from ezdxf.addons.drawing.properties import Properties
from ezdxf.math import Vec2
from ezdxf.npshapes import NumpyPath2d

# Dashes and gaps of one line, and of the whole drawing: half a second, and half a minute.
MAX_DASHES = 100_000
MAX_TOTAL_DASHES = 5_000_000


class DashStage(LinetypeStage2d):
    """Replaces ezdxf's pipeline stage for linetypes.

    `scale` returns the length of a pattern's unit in drawing units. `solid_lines` counts the lines drawn solid.
    """

    def __init__(self, config: Configuration, scale: Callable[[], float], stage: LinetypeStage2d) -> None:
        super().__init__(config, scale, stage.next_stage)
        self.solid_lines = 0
        self._remaining = MAX_TOTAL_DASHES

    def draw_line(self, start: Vec2, end: Vec2, properties: Properties) -> None:
        """Draw the line dashed, or solid beyond the limit."""
        if self._is_within_limit(start.distance(end), properties):
            super().draw_line(start, end, properties)
        else:
            self.next_stage.draw_line(start, end, properties)

    def draw_path(self, path: NumpyPath2d, properties: Properties) -> None:
        """Draw the path dashed, or solid beyond the limit."""
        length = sum(start.distance(end) for start, end in pairwise(path.control_vertices()))
        if self._is_within_limit(length, properties):
            super().draw_path(path, properties)
        else:
            self.next_stage.draw_path(path, properties)

    def _is_within_limit(self, length: float, properties: Properties) -> bool:
        if self.solid_lines_only or len(properties.linetype_pattern) < 2:
            return True
        pattern = self.pattern(properties)
        period = sum(pattern)
        dashes = length / period * len(pattern) if period > 0 else inf
        if not dashes <= min(MAX_DASHES, self._remaining):  # "not <=" also catches NaN
            self.solid_lines += 1
            return False
        self._remaining -= int(dashes)
        return True


def limit_dashes(pipeline: AbstractPipeline, config: Configuration, *, model_units: bool) -> DashStage:
    """Install a `DashStage` in ezdxf's pipeline, whose stages are clipping, linetypes and backend.

    Clipping transforms a viewport's lines to paper space. Dashes are measured in paper units or, with `model_units`, in
    model units; ezdxf would lengthen them by the viewport's scale.
    """
    assert isinstance(pipeline, RenderPipeline2d)  # noqa: S101 - the only 2D pipeline
    clipping = pipeline._pipeline
    former = clipping.next_stage
    assert isinstance(former, LinetypeStage2d)  # noqa: S101 - a test fails if a later ezdxf reorders the stages

    def scale() -> float:
        return pipeline.current_vp_scale if model_units else 1.0

    clipping.next_stage = stage = DashStage(config, scale, former)
    return stage
