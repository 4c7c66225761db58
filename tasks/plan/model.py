"""The plan of a render, and the errors that refuse a blueprint from its header."""

from dataclasses import asdict, dataclass
from typing import Any

from tasks.errors import InvalidInput

ACCEPTED_FORMATS = "DXF, SVG, PDF, PNG, JPEG, TIFF and WebP"


@dataclass(frozen=True)
class Plan:
    """Predicted cost of a render.

    `format` is one of `dxf dwg svg pdf png jpeg tiff webp`. `size` and `peak_bytes` (of the whole worker process) are
    in bytes. `width` and `height` are in pixels, None if the source has no intrinsic size. `layers` is None if counting
    them would require decoding.
    """

    format: str
    media_type: str
    size: int
    width: int | None
    height: int | None
    pages: int
    layers: int | None
    peak_bytes: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Header:
    """Contents of a header: geometry, and the decoder's own cost.

    `working_bytes` and `seconds` are the memory and time of decoding the source alone. `pixel_bytes` is the memory of
    one preview pixel: 4 bytes decoded (held for preview and base), 8 in ImageMagick, and up to 28 in libvips before it
    and libwebp after it. `channels` is the number of bytes of a pixel decoded to 8 bits a channel.
    """

    width: int | None = None
    height: int | None = None
    pages: int = 1
    layers: int | None = 1
    working_bytes: int = 0
    seconds: float = 0.0
    pixel_bytes: int = 40
    channels: int = 3


class PlanError(InvalidInput):
    """The blueprint cannot be rendered, as its header shows."""

    code = "refused"


class Empty(PlanError):
    """The file has no bytes."""

    code = "empty"


class UnknownFormat(PlanError):
    """The content is in none of the formats that the engine renders."""

    code = "unknown-format"


class Truncated(PlanError):
    """The file ends earlier than its header declares."""

    code = "truncated"


class NoSuchPage(PlanError):
    """The file has fewer pages than the number requested."""

    code = "no-such-page"


class Unsupported(PlanError):
    """The format is known, but this variant of it cannot be rendered."""

    code = "unsupported"


class TooLarge(PlanError):
    """The render would exceed the memory limit."""

    code = "too-large"
    http_status = 413
