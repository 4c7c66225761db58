"""SVG through librsvg (inside libvips), at the resolution that is asked for; a layer for each group below its root.

The text is checked first, then handed over from memory: with no base address librsvg can follow no reference. A
region is drawn as a sheet of its own, so that only its pixels exist, 4 bytes each, however high the resolution.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyvips

from tasks.plan import Plan
from tasks.plan.svg_layers import BASE
from tasks.renders import PERMYRIAD, RenderOptions
from workers.render.errors import BlueprintError
from workers.render.manifest import Warning  # noqa: A004 - the manifest's own word
from workers.render.native import give_back, prepare_vips
from workers.render.progress import Progress
from workers.render.raster import Box, Piece, Pixels, lay
from workers.render.sizes import fit
from workers.render.sources import DEEP, Canvas, Geometry, SourceLayer, Strips
from workers.render.sources.raster import piece, reason
from workers.render.sources.svg_text import SvgText

MAX_BYTES = 64 * 1024**2  # the text and librsvg's tree are both held in memory

PIXELS_PER_INCH = 96  # CSS 2.1, 4.3.2

# A long text goes less deep: it is parsed anew for each row of tiles, of which there are some six times the depth, and
# so many bytes times the depth take a minute.
DEEP_BYTES = 6 * 1024**2


@dataclass
class SvgSource:
    """A checked SVG of `sheet` pixels at 96 to the inch, of which `window` (shares: left, top, right, bottom) is shown.

    Each layer is parsed and drawn anew from the bytes that belong to it.
    """

    text: SvgText
    options: RenderOptions
    sheet: tuple[float, float]
    window: tuple[float, ...]
    size: tuple[int, int]
    geometry: Geometry
    progress: Progress
    warnings: Sequence[Warning] = ()

    @property
    def draw_order_matters(self) -> bool:
        """Whether a layer blends with what lies beneath, or the sheet as a whole is faded or filtered."""
        return self.text.draw_order_matters

    @property
    def layers(self) -> Sequence[SourceLayer]:
        """Groups in drawing order and what lies between them, or everything as one."""
        whole = (0, 0, *self.size)
        if not self.text.layers:
            return (SourceLayer(BASE, whole),)
        return [
            SourceLayer(layer.name, whole, visible=index in self._visible)
            for index, layer in enumerate(self.text.layers)
        ]

    def preview(self) -> Piece:
        """The visible layers, drawn in one pass."""
        return self._preview

    def layer(self, index: int) -> Piece:
        """One layer, cropped to what it covers; the preview where there is but one."""
        self.progress.beat()
        return cropped(self._draw({index})) if self.text.layers else self._preview

    def deep(self, background: str | None, scratch: Path, index: int | None = None) -> Strips | Canvas:
        """Everything or one layer, at any scale: 7 bytes a pixel of a row of tiles. At the preview's size where the
        text is long, or has effects that are worked out in pixels and would end where a row does.
        """
        del scratch
        alone = index is not None and self.text.layers
        shown = {index or 0} if alone else self._visible
        depth = 1 if self.text.has_filters else min(DEEP, DEEP_BYTES // len(self.text.content))
        if depth <= 1:
            pixels = _on(background, self._draw(shown) if alone else self._preview)
            return Strips(self.size, pixels.shape[2], lambda: iter((pixels,)))

        @lru_cache(maxsize=1)
        def row(size: tuple[int, int], top: int, height: int) -> Pixels:
            return _on(background, self._draw(shown, size, (0, top, size[0], height)))

        def paint(size: tuple[int, int], box: Box) -> Pixels:
            left, top, width, height = box
            return row(size, top, height)[:, left : left + width]

        return Canvas((depth * self.size[0], depth * self.size[1]), paint)

    @cached_property
    def _preview(self) -> Piece:
        return self._draw(self._visible)

    @cached_property
    def _visible(self) -> frozenset[int]:
        chosen = self.options.layer_names
        return frozenset(
            index
            for index, layer in enumerate(self.text.layers)
            if (layer.name in chosen if chosen else not layer.hidden)
        )

    def _draw(self, shown: Collection[int], size: tuple[int, int] | None = None, box: Box | None = None) -> Piece:
        """A box of what is shown at `size` pixels; all of it at the preview's size."""
        size = size or self.size
        left, top, width, height = box or (0, 0, *size)
        window = _part(self.window, left / size[0], top / size[1], (left + width) / size[0], (top + height) / size[1])
        drawing = self.text.showing(shown, self.sheet, window, (width, height))
        try:
            drawn = piece(pyvips.Image.svgload_buffer(drawing, unlimited=True))
        except pyvips.Error as error:
            raise BlueprintError(
                "broken-svg", f"The SVG cannot be drawn ({reason(error)}). Open it in an editor and save it again."
            ) from error
        finally:
            give_back()
        return drawn


def open_source(plan: Plan, path: Path, options: RenderOptions, progress: Progress) -> SvgSource:
    """Check the SVG and draw its preview.

    Raises `BlueprintError` (`too-large`, `broken-svg`, `external-reference`, `unsupported`, `no-such-layer`,
    `no-such-page`).
    """
    if plan.size > MAX_BYTES:
        raise BlueprintError("too-large", f"An SVG may have {MAX_BYTES // 1024**2} MiB. Split it, or send it as PDF.")
    if options.page > 1:
        raise BlueprintError("no-such-page", f"Page {options.page} was asked for; an SVG has 1.")
    progress.at("open")
    text = SvgText.read(path.read_bytes())
    _check_layers(text, options)
    progress.at("draw")
    prepare_vips()
    window = tuple(part / PERMYRIAD for part in options.window)
    sheet = text.size or _own_size(text)
    left, top, right, bottom = window
    across, down = sheet[0] * (right - left), sheet[1] * (bottom - top)
    longer = round(max(across, down) * options.dpi / PIXELS_PER_INCH) if options.dpi else options.width
    size = fit(across, down, max(1, longer))
    source = SvgSource(text, options, sheet, window, size, Geometry(plan.width, plan.height), progress)
    source.preview()
    return source


def _on(background: str | None, drawn: Piece) -> Pixels:
    return drawn.plain if background is None or drawn.opaque else lay(drawn.plain, background)


def _part(window: tuple[float, ...], *shares: float) -> tuple[float, ...]:
    """A part of the window (left, top, right, bottom, in shares of it), in shares of the sheet."""
    first, past = window[:2] * 2, window[2:] * 2
    return tuple(a + (b - a) * share for a, b, share in zip(first, past, shares, strict=True))


def cropped(whole: Piece) -> Piece:
    """A copy of the part of a preview-sized piece that can be seen; the piece itself where nothing can."""
    if whole.opaque or whole.blank:
        return whole
    seen = whole.pixels[..., 3] > 0
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return Piece(whole.pixels[top:bottom, left:right].copy(), whole.channels, left, top, drawn=whole.drawn)


def _own_size(text: SvgText) -> tuple[float, float]:
    """Pixels that librsvg gives a drawing which asks for no size: those of what it shows."""
    try:
        image = pyvips.Image.svgload_buffer(text.content, unlimited=True)
    except pyvips.Error as error:
        raise BlueprintError(
            "broken-svg", f"The SVG cannot be drawn ({reason(error)}). Open it in an editor and save it again."
        ) from error
    return float(image.width), float(image.height)


def _check_layers(text: SvgText, options: RenderOptions) -> None:
    known = {layer.name for layer in text.layers} or {BASE}
    for name in options.layer_names:
        if name not in known:
            listed = ", ".join(sorted(known))
            raise BlueprintError("no-such-layer", f"There is no layer {name!r}. Ask for some of: {listed}.")
