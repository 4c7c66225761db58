"""Renders: the message of the task `render.blueprint`, its options, and the names of its artifacts.

The message is the keyword arguments of the Celery task. Its JSON Schema for publishers in other languages is generated
from `RenderMessage`.
"""

import hashlib
import hmac
import json
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from tasks.utils.tenant import Tenant
from tasks.webhooks import WebhookUrl

TASK = "render.blueprint"

# Part of every artifact's key. Raise it when the engine renders the same source differently.
ENGINE_VERSION = "4"

# WebP's maximum width and height (libwebp, WEBP_MAX_DIMENSION).
MAX_WIDTH = 16_383

MAX_FILENAME = 255

# Used in place of a layer's index.
ALL_LAYERS = -1

# A region is given in ten-thousandths of the sides. Its minimum size keeps cairo's coordinates below 2^23 pixels.
REGION_SCALE = 10_000
MIN_REGION = 100

Region = tuple[int, int, int, int]


def _canonical_uuid(value: str) -> str:
    if str(UUID(value)) != value:
        raise ValueError("write the UUID in lower case with hyphens")
    return value


JobId = Annotated[str, StringConstraints(min_length=36, max_length=36), AfterValidator(_canonical_uuid)]

# Keys of the store: relative, without empty or dotted parts. The part of the tenant is checked below.
SourceKey = Annotated[
    str,
    StringConstraints(
        max_length=255, pattern=r"^sources/[a-z0-9][a-z0-9_-]{0,62}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){1,4}$"
    ),
]

Traceparent = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]


class RenderOptions(BaseModel):
    """Options of a render: integers, strings and booleans only, so that every language encodes them alike."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    width: int = Field(2048, ge=16, le=MAX_WIDTH, description="Longer side of the preview, pixels.")
    background: Literal["light", "dark", "transparent"] = Field("light", description="Background of the preview.")
    layout: str = Field("", max_length=255, description="Name of the DXF layout to draw; empty: model space.")
    page: int = Field(1, ge=1, le=100_000, description="Page of a PDF or multi-page TIFF, from 1.")
    tiles: bool = Field(default=False, description="Also create Deep Zoom tiles, up to the source's own resolution.")
    layer_tiles: bool = Field(default=False, description="With `tiles`: create tiles of every layer as well.")
    tile_layer: int = Field(
        ALL_LAYERS,
        ge=ALL_LAYERS,
        le=99_999,
        description="With `tiles`: create tiles of this layer only, by its index in the manifest; -1: of all layers.",
    )
    line_work: bool = Field(default=False, description="Also output the ink of a scan as a transparent layer.")
    dpi: int = Field(
        0, ge=0, le=2400, description="Pixels per inch on paper, for vector drawings; used instead of `width`."
    )
    scale: int = Field(1, ge=1, le=1_000_000, description="With `dpi`: the scale 1:n of a DXF model on paper.")
    layers: str = Field(
        "", max_length=4096, description="Names of the layers to draw, separated by commas; empty: all."
    )
    line_weight: int = Field(
        100, ge=10, le=1000, description="Line weights of a DXF drawing, in percent of their own values."
    )
    region: str = Field(
        "",
        pattern=r"^(\d{1,5}(,\d{1,5}){3})?$",
        description="Region to draw: left,top,right,bottom in ten-thousandths of the sides; empty: the whole drawing.",
    )
    format: Literal["webp", "webp-lossless", "webp-lossy", "png"] = Field(
        "webp", description="Format of preview and layers; `webp` is lossless for line work and lossy for photographs."
    )

    @field_validator("region")
    @classmethod
    def _check_region(cls, value: str) -> str:
        left, top, right, bottom = _region(value)
        if min(right - left, bottom - top) < MIN_REGION or max(right, bottom) > REGION_SCALE:
            raise ValueError(
                f"give left,top,right,bottom from 0 to {REGION_SCALE}, at least {MIN_REGION} apart, "
                "such as 0,0,5000,5000"
            )
        return value

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names in `layers`, without surrounding spaces."""
        return tuple(name for part in self.layers.split(",") if (name := part.strip()))

    @property
    def single_layer(self) -> int:
        """Index of the only layer to create tiles of; ALL_LAYERS otherwise."""
        return self.tile_layer if self.tiles else ALL_LAYERS

    @property
    def region_bounds(self) -> Region:
        """`region` as left, top, right and bottom, in ten-thousandths."""
        return _region(self.region)


def _region(text: str) -> Region:
    if not text:
        return 0, 0, REGION_SCALE, REGION_SCALE
    left, top, right, bottom = (int(part) for part in text.split(","))
    return left, top, right, bottom


class RenderMessage(BaseModel):
    """A request for a render. The publisher chooses `job` before its first try, so that a retry is the same job."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = Field(1, description="Version of this message's schema.")
    job: JobId = Field(description="Random UUID, chosen by the publisher; also the Celery task id.")
    tenant: Tenant = Field(description="Tenant that the job belongs to.")
    source: SourceKey = Field(description="Key of the blueprint in the store; its second part is the tenant.")
    filename: str = Field("", max_length=MAX_FILENAME, description="The user's file name of the blueprint.")
    options: RenderOptions = Field(default_factory=RenderOptions)
    traceparent: Traceparent | None = Field(None, description="W3C trace context of the request.")
    webhook: WebhookUrl | None = Field(
        None, description="URL to notify of the end, on a host that BULKHEAD_WEBHOOK_HOSTS allows."
    )

    def model_post_init(self, _context: object) -> None:
        """Reject a source of another tenant."""
        if self.source.split("/")[1] != self.tenant:
            raise ValueError("the source does not belong to the tenant")


def canonical_options(options: RenderOptions) -> str:
    """Options as canonical JSON: sorted keys, no spaces, raw UTF-8, defaults included."""
    return json.dumps(options.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def artifact_key(secret: str, tenant: str, digest: str, options: RenderOptions) -> str:
    """Name of the artifacts of a drawing: 64 hex digits, the same whenever the same render is requested.

    `digest` is the source's SHA-256 in hex. The name is keyed with the platform's secret, so that nobody can derive the
    location of another tenant's artifacts from the drawing.
    """
    parts = json.dumps([tenant, digest, canonical_options(options), ENGINE_VERSION], ensure_ascii=False)
    return hmac.new(secret.encode(), parts.encode(), hashlib.sha256).hexdigest()


def artifact_prefix(tenant: str, key: str) -> str:
    """Folder of the store that holds the artifacts named `key`."""
    return f"artifacts/{tenant}/{key}"


def source_key(tenant: str, job: str) -> str:
    """Key under which the intake stores the blueprint of `job`."""
    return f"sources/{tenant}/{job}"
