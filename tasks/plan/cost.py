"""Estimate memory and time from a header. The constants are measured; jobs record planned and actual peaks."""

from tasks.plan.model import Header

# Interpreter, numpy, ezdxf, libvips, cairo and ImageMagick loaded, nothing drawn yet.
PROCESS_BYTES = 100 * 1024**2

# Draws, composes and encodes one preview pixel. A layer is cropped and covers about an eighth of the preview.
SECONDS_PER_PIXEL = 50e-9
LAYER_SHARE = 1 / 8

# Start-up time of a warm engine.
STARTUP_SECONDS = 0.05

HASH_SECONDS_PER_BYTE = 1e-9

# Rows of a wide image that all threads of libvips hold while they shrink it.
RESIZE_ROWS = 2560

# Tiling holds a row of tiles at every level (together twice the 512 rows of the largest level), their half-size copies,
# and the tiles that libwebp is encoding. The full image is decoded once more; all levels have 4/3 of its pixels.
TILE_ROW_BYTES = 1536
TILES_IN_FLIGHT_BYTES = 80 * 1024**2
SECONDS_PER_TILE_PIXEL = 12e-9  # per channel


def estimate_cost(header: Header, size: int, width: int, *, tiles: bool = False) -> tuple[int, float]:
    """Return the peak bytes of the process and the seconds of a render at `width` pixels on the longer side."""
    pixels = _preview_pixels(header, width)
    rasters = 1 + LAYER_SHARE * (header.layers or 1)
    shrinking = min(RESIZE_ROWS, header.height or 0) * header.channels * (header.width or 0)
    drawing = max(header.pixel_bytes * pixels, shrinking)
    seconds = STARTUP_SECONDS + header.seconds + SECONDS_PER_PIXEL * pixels * rasters
    if tiles:
        longer_side = max(header.width or width, header.height or width)  # the image may be stored rotated
        drawing = max(drawing, TILE_ROW_BYTES * header.channels * longer_side + TILES_IN_FLIGHT_BYTES)
        seconds += header.seconds + SECONDS_PER_TILE_PIXEL * header.channels * (header.width or width) * (
            header.height or width
        )
    return PROCESS_BYTES + header.working_bytes + drawing, round(seconds + HASH_SECONDS_PER_BYTE * size, 3)


def _preview_pixels(header: Header, width: int) -> int:
    if not header.width or not header.height:
        return width * width
    longer, shorter = max(header.width, header.height), min(header.width, header.height)
    return width * max(1, round(width * shorter / longer))
