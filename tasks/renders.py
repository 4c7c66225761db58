"""Renders: what may be asked of `render.blueprint`, and how its artifacts are named.

The message is the keyword arguments of the Celery task. Its JSON Schema (`docs/reference/schemas/render.json`) is
generated from `RenderMessage` for publishers in other languages.
"""

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from tasks.settings.types import Tenant
from tasks.webhooks import WebhookUrl

if TYPE_CHECKING:
    from tasks.jobs import Job

TASK = "render.blueprint"

# Part of every artifact's key: raise it when the engine draws the same source differently.
ENGINE_VERSION = "4"

# WebP cannot be wider or higher (libwebp, WEBP_MAX_DIMENSION).
MAX_WIDTH = 16_383

MAX_FILENAME = 255

# In place of a layer's index.
ALL_LAYERS = -1

# Parts of a side that a region is given in, and the least that it may show: cairo's coordinates end at 2^23 pixels.
REGION_SCALE = 10_000
MIN_REGION = 100

Region = tuple[int, int, int, int]


def _canonical_uuid(value: str) -> str:
    if str(UUID(value)) != value:
        raise ValueError("write the UUID in lower case with hyphens")
    return value


JobId = Annotated[str, StringConstraints(min_length=36, max_length=36), AfterValidator(_canonical_uuid)]

# Keys of the store: relative, no empty or dotted part. The tenant's own part is checked where it is known.
SourceKey = Annotated[
    str,
    StringConstraints(
        max_length=255, pattern=r"^sources/[a-z0-9][a-z0-9_-]{0,62}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){1,4}$"
    ),
]

Traceparent = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]


class RenderOptions(BaseModel):
    """How a blueprint is drawn. Integers, strings and booleans only, so that every language encodes them alike."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    width: int = Field(2048, ge=16, le=MAX_WIDTH, description="Longer side of the preview, in pixels.")
    background: Literal["light", "dark", "transparent"] = Field("light", description="Behind the preview.")
    layout: str = Field("", max_length=255, description="Layout of a DXF drawing by name; empty is its model space.")
    page: int = Field(1, ge=1, le=100_000, description="Page of a PDF or multi-page TIFF, from 1.")
    tiles: bool = Field(default=False, description="Also cut Deep Zoom tiles, down to the source's own pixels.")
    layer_tiles: bool = Field(default=False, description="With `tiles`: for every layer as well.")
    tile_layer: int = Field(
        ALL_LAYERS,
        ge=ALL_LAYERS,
        le=99_999,
        description="With `tiles`: cut those of this layer alone, by its index in the manifest; -1 is everything.",
    )
    line_work: bool = Field(default=False, description="Of a scan, also give the ink as a transparent layer.")
    dpi: int = Field(0, ge=0, le=2400, description="Pixels an inch on paper instead of `width`, for vector drawings.")
    scale: int = Field(1, ge=1, le=1_000_000, description="With `dpi`: one to how many the paper shows a DXF model.")
    layers: str = Field("", max_length=4096, description="Names of the only layers to draw, separated by commas.")
    line_weight: int = Field(100, ge=10, le=1000, description="Percent of a DXF drawing's own line weights.")
    region: str = Field(
        "",
        pattern=r"^(\d{1,5}(,\d{1,5}){3})?$",
        description="Part to draw: left,top,right,bottom in ten-thousandths of the sides; empty is all of it.",
    )
    format: Literal["webp", "webp-lossless", "webp-lossy", "png"] = Field(
        "webp", description="Of preview and layers; webp is lossless for line work and lossy for photographs."
    )

    @field_validator("region")
    @classmethod
    def _check_region(cls, value: str) -> str:
        left, top, right, bottom = _region(value)
        if min(right - left, bottom - top) < MIN_REGION or max(right, bottom) > REGION_SCALE:
            raise ValueError(
                f"give left,top,right,bottom from 0 to {REGION_SCALE}, at least {MIN_REGION} apart, such as 0,0,5000,5000"
            )
        return value

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of `layers`, without the spaces around them."""
        return tuple(name for part in self.layers.split(",") if (name := part.strip()))

    @property
    def single_layer(self) -> int:
        """Index of the one layer that tiles are cut of; EVERYTHING where it is not one alone."""
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
    """One render asked for. A publisher chooses `job` before its first try, so that a retry is the same job."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = Field(1, description="Version of this message's schema.")
    job: JobId = Field(description="Random UUID, chosen by the publisher; also the Celery task id.")
    tenant: Tenant = Field(description="Whose job it is.")
    source: SourceKey = Field(description="Key of the blueprint in the store; its second part is the tenant.")
    filename: str = Field("", max_length=MAX_FILENAME, description="What the user calls the blueprint.")
    options: RenderOptions = Field(default_factory=RenderOptions)
    traceparent: Traceparent | None = Field(None, description="W3C trace context of the request.")
    webhook: WebhookUrl | None = Field(
        None, description="Address that is told of the end, on a host that BULKHEAD_WEBHOOK_HOSTS allows."
    )

    def model_post_init(self, _context: object) -> None:
        """Refuse a source that belongs to somebody else."""
        if self.source.split("/")[1] != self.tenant:
            raise ValueError("the source does not belong to the tenant")


def canonical_options(options: RenderOptions) -> str:
    """Options as JSON that every language writes alike: sorted keys, no spaces, raw UTF-8, defaults included."""
    return json.dumps(options.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def artifact_key(secret: str, tenant: str, digest: str, options: RenderOptions) -> str:
    """Name of the artifacts of a drawing: 64 hex digits, the same for the same drawing asked for again.

    `digest` is the source's SHA-256 in hex. Keyed with the platform's secret, so that knowing a drawing does not
    tell where another tenant's rendering of it lies.
    """
    parts = json.dumps([tenant, digest, canonical_options(options), ENGINE_VERSION], ensure_ascii=False)
    return hmac.new(secret.encode(), parts.encode(), hashlib.sha256).hexdigest()


def artifact_prefix(tenant: str, key: str) -> str:
    """Folder of the store that holds the artifacts named `key`."""
    return f"artifacts/{tenant}/{key}"


def source_key(tenant: str, job: str) -> str:
    """Key under which the intake stores the blueprint of `job`."""
    return f"sources/{tenant}/{job}"


def render_message(job: "Job") -> RenderMessage:
    """The message that asks for a job of the ledger once more."""
    return RenderMessage(
        job=job.id,
        tenant=job.tenant,
        source=job.source,
        filename=job.filename,
        options=RenderOptions.model_validate(job.options),
        traceparent=job.traceparent,
        webhook=job.webhook,
    )
