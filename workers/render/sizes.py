"""The size of a preview and its limit."""

from workers.render.errors import BlueprintError

# Pixels are in our memory, in ImageMagick and in libwebp at once: 22 to 26 bytes a pixel for vectors, twice that for
# pictures with transparency. Together with the process itself that fits a memory limit of 512 MiB.
MAX_PIXELS = 16_000_000


def fit_preview(width: float, height: float, max_side: int, *, enlarge: bool = True) -> tuple[int, int]:
    """Width and height in pixels of the preview of a source of `width` by `height`, both at most `max_side`.

    Raises `BlueprintError` (`too-large`) if the preview exceeds MAX_PIXELS.
    """
    scale = max_side / max(width, height)
    if not enlarge:
        scale = min(scale, 1.0)
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    check_pixels(columns, rows)
    return columns, rows


def check_pixels(width: int, height: int) -> None:
    """Raise `BlueprintError` (`too-large`) above MAX_PIXELS; its message names a possible width."""
    if width * height > MAX_PIXELS:
        max_width = int(max(width, height) * (MAX_PIXELS / (width * height)) ** 0.5)
        raise BlueprintError(
            "too-large",
            f"A preview of {width} x {height} pixels exceeds the limit of {MAX_PIXELS:,} pixels. "
            f"Ask for a width of {max_width} or less.",
        )
