"""What a plan says, and the ways in which a blueprint can be refused from its header."""

from dataclasses import asdict, dataclass
from typing import Any

ACCEPTED_FORMATS = "DXF, SVG, PDF, PNG, JPEG, TIFF and WebP"


@dataclass(frozen=True)
class Plan:
    """What a blueprint will cost, predicted from its header.

    `format` is one of `dxf dwg svg pdf png jpeg tiff webp`; `size`, `peak_bytes` (of the whole worker process) are
    bytes; `width` and `height` are pixels, None where the source has no size of its own; `layers` is None where
    counting would mean decoding.
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
        """The plan as plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Header:
    """What one format's reader found: geometry, and what decoding it needs besides the picture drawn from it.

    `working_bytes` is memory and `seconds` is time that the decoder needs for the source alone. `pixel_bytes` is what
    one preview pixel takes on its way: 4 decoded (kept for preview and base) + 8 in ImageMagick + up to 28 in libvips
    before it and libwebp after it. `channels` is how many bytes a pixel has once it is decoded to 8 bits.
    """

    width: int | None = None
    height: int | None = None
    pages: int = 1
    layers: int | None = 1
    working_bytes: int = 0
    seconds: float = 0.0
    pixel_bytes: int = 40
    channels: int = 3


class PlanError(Exception):
    """A blueprint refused from its header. `code` is stable for programs; `message` tells a person what to do."""

    code = "refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Empty(PlanError):
    """The file has no bytes."""

    code = "empty"


class UnknownFormat(PlanError):
    """The bytes are of no format that the engine draws."""

    code = "unknown-format"


class Truncated(PlanError):
    """The file ends before its own header says it should."""

    code = "truncated"


class NoSuchPage(PlanError):
    """The file has fewer pages."""

    code = "no-such-page"


class Unsupported(PlanError):
    """The format is known, and this kind of it cannot be drawn."""

    code = "unsupported"


class TooLarge(PlanError):
    """Rendering would not fit inside the fence."""

    code = "too-large"
