"""From a header to predicted memory and time. Constants were measured; planned against real peaks are recorded."""

from tasks.plan.model import Header

# Interpreter, numpy, ezdxf, libvips, cairo and ImageMagick loaded, nothing drawn yet.
PROCESS_BYTES = 100 * 1024**2

# Draw, compose and encode one preview pixel; a layer covers about an eighth of that, being cropped.
SECONDS_PER_PIXEL = 50e-9
LAYER_SHARE = 1 / 8

# Start-up of a warm engine.
STARTUP_SECONDS = 0.05

HASH_SECONDS_PER_BYTE = 1e-9


# Rows of a wide picture that libvips holds while it shrinks them, on all its threads together.
RESIZE_ROWS = 2560

# Cutting tiles: a row of them at every level (twice the lowest one's 512 pixels) and its halves, and those on their
# way through libwebp. The full picture is decoded once more; levels come to 4/3 of it.
TILE_ROW_BYTES = 1536
TILES_IN_FLIGHT_BYTES = 80 * 1024**2
SECONDS_PER_TILE_PIXEL = 12e-9  # a channel


def estimate_cost(header: Header, size: int, width: int, *, tiles: bool = False) -> tuple[int, float]:
    """Peak bytes of the worker process and seconds of rendering `header` at `width` pixels on the longer side."""
    pixels = _preview_pixels(header, width)
    pictures = 1 + LAYER_SHARE * (header.layers or 1)
    shrinking = min(RESIZE_ROWS, header.height or 0) * header.channels * (header.width or 0)
    drawing = max(header.pixel_bytes * pixels, shrinking)
    seconds = STARTUP_SECONDS + header.seconds + SECONDS_PER_PIXEL * pixels * pictures
    if tiles:
        across = max(header.width or width, header.height or width)  # it may lie on its side
        drawing = max(drawing, TILE_ROW_BYTES * header.channels * across + TILES_IN_FLIGHT_BYTES)
        seconds += header.seconds + SECONDS_PER_TILE_PIXEL * header.channels * (header.width or width) * (
            header.height or width
        )
    return PROCESS_BYTES + header.working_bytes + drawing, round(seconds + HASH_SECONDS_PER_BYTE * size, 3)


def _preview_pixels(header: Header, width: int) -> int:
    if not header.width or not header.height:
        return width * width
    longer, shorter = max(header.width, header.height), min(header.width, header.height)
    return width * max(1, round(width * shorter / longer))
