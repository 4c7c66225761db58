"""Dashed lines within bounds: one whose dashes nobody could count is drawn whole.

A dash costs some 5 microseconds and 16 bytes. A line across a drawing that lies far from itself, or a line type scaled
to nothing, would have billions of them.
"""

from collections.abc import Callable
from itertools import pairwise
from math import inf

from ezdxf.addons.drawing.config import Configuration
from ezdxf.addons.drawing.pipeline import AbstractPipeline, LinetypeStage2d, RenderPipeline2d
from ezdxf.addons.drawing.properties import Properties
from ezdxf.math import Vec2
from ezdxf.npshapes import NumpyPath2d

# Dashes and gaps of one line, and of all of a drawing: half a second, and half a minute.
MAX_DASHES = 100_000
MAX_TOTAL_DASHES = 5_000_000


class DashStage(LinetypeStage2d):
    """Takes the place of ezdxf's own stage for line types. `scale` tells how long a pattern's unit is on what is drawn;
    `whole` counts the lines that were drawn whole."""

    def __init__(self, config: Configuration, scale: Callable[[], float], stage: LinetypeStage2d) -> None:
        super().__init__(config, scale, stage.next_stage)
        self.solid_lines = 0
        self._remaining = MAX_TOTAL_DASHES

    def draw_line(self, start: Vec2, end: Vec2, properties: Properties) -> None:
        """Draw dashes, or the line itself."""
        if self._is_within_limit(start.distance(end), properties):
            super().draw_line(start, end, properties)
        else:
            self.next_stage.draw_line(start, end, properties)

    def draw_path(self, path: NumpyPath2d, properties: Properties) -> None:
        """Draw dashes, or the path itself."""
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
        if not dashes <= min(MAX_DASHES, self._remaining):  # of a length that is no number, too
            self.solid_lines += 1
            return False
        self._remaining -= int(dashes)
        return True


def limit_dashes(pipeline: AbstractPipeline, config: Configuration, *, model_units: bool) -> DashStage:
    """Put a `DashStage` in its place in ezdxf's pipeline, which is clipping, line types, backend.

    Clipping has brought a viewport's lines to paper. Their dashes are measured there, or in the model with
    `model_units`; ezdxf lengthens them by the viewport's scale instead.
    """
    assert isinstance(pipeline, RenderPipeline2d)  # noqa: S101 - the only one that draws on the plane
    clipping = pipeline._pipeline
    former = clipping.next_stage
    assert isinstance(former, LinetypeStage2d)  # noqa: S101 - tested, should a later ezdxf arrange them otherwise

    def scale() -> float:
        return pipeline.current_vp_scale if model_units else 1.0

    clipping.next_stage = stage = DashStage(config, scale, former)
    return stage
