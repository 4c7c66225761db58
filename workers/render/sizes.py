"""How large a preview may be, and how large it will be."""

from workers.render.errors import BlueprintError

# Drawn, in ImageMagick and in libwebp at once: 22 to 26 bytes a pixel for vectors, twice that for pictures with
# transparency. With the process itself this is what a fence of 512 MiB holds.
MAX_PIXELS = 16_000_000


def fit_preview(width: float, height: float, max_side: int, *, enlarge: bool = True) -> tuple[int, int]:
    """Preview's width and height in pixels for a source of `width` by `height`, at most `longer` on either side.

    Raises `BlueprintError` (`too-large`) where a worker could not hold it.
    """
    scale = max_side / max(width, height)
    if not enlarge:
        scale = min(scale, 1.0)
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    check_pixels(columns, rows)
    return columns, rows


def check_pixels(width: int, height: int) -> None:
    """Raise `BlueprintError` (`too-large`), saying which width would do."""
    if width * height > MAX_PIXELS:
        most = int(max(width, height) * (MAX_PIXELS / (width * height)) ** 0.5)
        raise BlueprintError(
            "too-large",
            f"A preview of {width} x {height} pixels does not fit into a worker. Ask for a width of {most} or less.",
        )
