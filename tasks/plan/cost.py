"""From a header to predicted memory and time. Constants were measured; planned against real peaks are recorded."""

from tasks.plan.model import Header

# Interpreter, numpy, ezdxf, libvips, cairo and ImageMagick loaded, nothing drawn yet.
PROCESS_BYTES = 100 * 1024**2

# Draw, compose and encode one preview pixel; a layer covers about an eighth of that, being cropped.
SECONDS_PER_PIXEL = 50e-9
LAYER_SHARE = 1 / 8

# Start-up of a warm engine.
SECONDS = 0.05

HASH_SECONDS_PER_BYTE = 1e-9


def estimate(header: Header, size: int, width: int) -> tuple[int, float]:
    """Peak bytes of the worker process and seconds of rendering `header` at `width` pixels on the longer side."""
    pixels = _preview_pixels(header, width)
    pictures = 1 + LAYER_SHARE * (header.layers or 1)
    peak = PROCESS_BYTES + header.working_bytes + header.pixel_bytes * pixels
    seconds = SECONDS + header.seconds + SECONDS_PER_PIXEL * pixels * pictures
    return peak, round(seconds + HASH_SECONDS_PER_BYTE * size, 3)


def _preview_pixels(header: Header, width: int) -> int:
    if not header.width or not header.height:
        return width * width
    longer, shorter = max(header.width, header.height), min(header.width, header.height)
    return width * max(1, round(width * shorter / longer))
