"""From a header to predicted memory and time. Constants were measured; planned against real peaks are recorded."""

from tasks.plan.model import Header

# Interpreter, numpy, ezdxf, libvips, cairo and ImageMagick loaded, nothing drawn yet.
PROCESS_BYTES = 85 * 1024**2

# One preview pixel on its way: 4 drawn + 4 unpremultiplied + 2 x 8 in ImageMagick (piece and canvas)
# + 4 in libwebp's picture + 12 in its lossless encoder.
BYTES_PER_PIXEL = 40

# Draw, compose and encode one preview pixel; base and preview are two pictures.
SECONDS_PER_PIXEL = 120e-9

# Start-up of a warm engine.
SECONDS = 0.05


def estimate(header: Header, size: int, width: int) -> tuple[int, float]:
    """Peak bytes of the worker process and seconds of rendering `header` at `width` pixels on the longer side."""
    pixels = _preview_pixels(header, width)
    layers = min(header.layers or 1, 64)
    peak = PROCESS_BYTES + header.working_bytes + BYTES_PER_PIXEL * pixels
    seconds = SECONDS + header.seconds + SECONDS_PER_PIXEL * pixels * (1 + layers / 4)
    return peak, round(seconds + size * 1e-9, 3)


def _preview_pixels(header: Header, width: int) -> int:
    if not header.width or not header.height:
        return width * width
    longer, shorter = max(header.width, header.height), min(header.width, header.height)
    return width * max(1, round(width * shorter / longer))
