"""Parses requests for a render: a form with the drawing, or JSON that names a source in the store.

An upload is hashed and written to a temporary file of the store; at most one chunk is held in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.presets import Presets, expand_preset
from tasks.renders import MAX_FILENAME, RenderOptions, SourceKey
from tasks.settings import Settings
from tasks.storage import ObjectNotFound, Writer
from tasks.utils.units import format_bytes
from tasks.webhooks import WebhookUrl
from web.dependencies import Services
from web.problems import Problem, invalid_request
from web.submit.idempotency import fingerprint
from web.submit.multipart import FormReader, boundary_of, clean_filename
from web.submit.webhook_policy import check_webhook

CHUNK_SIZE = 2 << 20  # bytes that are buffered before a thread writes them
FORM_OVERHEAD = 256 * 1024  # bytes of a form beside the drawing
MAX_JSON = 64 * 1024  # bytes
MULTIPART = "multipart/form-data"
JSON = "application/json"


PRESET = Field(
    "", max_length=100, description="Name of a set of options on this server. Options in the request take precedence."
)
WEBHOOK = Field(None, description="URL that is called when the job finishes, on a host that this server allows.")


class RenderRequest(BaseModel):
    """A render of a drawing that is already in the store."""

    model_config = ConfigDict(extra="forbid", strict=True)

    source: SourceKey = Field(description="Key of the drawing, below `sources/<tenant>/`.")
    filename: str = Field("", max_length=MAX_FILENAME, description="Your name of the drawing.")
    preset: str = PRESET
    webhook: WebhookUrl | None = WEBHOOK
    options: RenderOptions = Field(default_factory=RenderOptions)


@dataclass
class ParsedRequest:
    """A parsed request. `writer` holds an uploaded drawing that is not committed. Without one, `source` is its key."""

    options: RenderOptions
    filename: str
    source: str
    writer: Writer | None = None
    unwritten: list[memoryview] = field(default_factory=list)
    webhook: str | None = None

    def flush(self) -> None:
        """Write the buffered end of an upload. Blocks."""
        if self.writer:
            write_all(self.writer, self.unwritten)
        self.unwritten = []

    @property
    def digest(self) -> str | None:
        """SHA-256 of an uploaded and flushed drawing, in hex."""
        return self.writer.digest if self.writer else None

    @property
    def fingerprint(self) -> str:
        """Digest that differs between requests with different content."""
        return fingerprint(self.digest or self.source, self.filename, self.options, self.webhook)

    def discard(self) -> None:
        """Discard an upload that was not committed."""
        if self.writer:
            self.writer.discard()


async def read_request(request: Request, services: Services, tenant: str, key: str) -> ParsedRequest:
    """Parse the body; an upload is stored as `key`. Raises problems, and leaves nothing in the store then."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return await read_form(request, services, tenant, key)
    if kind == JSON:
        return await read_json(request, services.settings, tenant)
    detail = f"Send {MULTIPART} with the drawing, or {JSON} with the key of a source in the store."
    raise Problem(415, "unsupported-media-type", detail)


async def read_json(request: Request, settings: Settings, tenant: str) -> ParsedRequest:
    body = await read_body(request, MAX_JSON)
    try:
        parsed = RenderRequest.model_validate_json(body)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        raise invalid_request(
            errors, where="body", status=400 if errors[0]["type"] == "json_invalid" else 422
        ) from error
    if parsed.source.split("/")[1] != tenant:
        raise ObjectNotFound(parsed.source)
    options = apply_preset(settings.presets, parsed.preset, parsed.options)
    webhook = check_webhook(settings, tenant, parsed.webhook)
    return ParsedRequest(options, clean_filename(parsed.filename), parsed.source, webhook=webhook)


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes. Raises a 413 problem."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Problem(413, "request-too-large", f"The JSON exceeds the limit of {format_bytes(limit)}.")
    return bytes(body)


async def read_form(request: Request, services: Services, tenant: str, key: str) -> ParsedRequest:
    limit = services.settings.upload_limit
    if int(request.headers.get("content-length", "0")) > limit + FORM_OVERHEAD:
        raise too_large(limit)
    reader = FormReader(boundary_of(request.headers["content-type"]))
    writer = services.store.writer(key)
    try:
        last_chunk = await receive_blueprint(request, reader, writer, services)
        form = reader.finish()
        services.metrics.uploaded_bytes.inc(writer.size + sum(map(len, last_chunk)))
        preset = form.fields.pop("preset", "")
        webhook = check_webhook(services.settings, tenant, form.fields.pop("webhook", "") or None)
        options = apply_preset(services.settings.presets, preset, parse_options(form.fields))
        return ParsedRequest(options, form.filename, key, writer, last_chunk, webhook)
    except BaseException:
        writer.discard()
        raise


async def receive_blueprint(
    request: Request, reader: FormReader, writer: Writer, services: Services
) -> list[memoryview]:
    """Write the uploaded drawing to `writer`, except for its last chunk. Raises a 413 problem.

    The last chunk is returned, so that the thread that processes the drawing can write it without another thread call.
    """
    limit = services.settings.upload_limit
    received = uploaded = buffered = 0
    pieces: list[memoryview] = []
    async for chunk in request.stream():
        received += len(chunk)
        new = reader.feed(chunk)
        size = sum(map(len, new))
        uploaded, buffered = uploaded + size, buffered + size
        if received > limit + FORM_OVERHEAD or uploaded > limit:
            raise too_large(limit)
        pieces += new
        if buffered >= CHUNK_SIZE:
            await services.run_write(write_all, writer, pieces)
            pieces, buffered = [], 0
    return pieces


def write_all(writer: Writer, pieces: Iterable[memoryview]) -> None:
    """Write the pieces in one call, because each call releases the GIL and must reacquire it."""
    buffer = getattr(_thread, "buffer", None) or bytearray(CHUNK_SIZE)
    length = 0
    for piece in pieces:
        buffer[length : length + len(piece)] = piece
        length += len(piece)
    writer.write(memoryview(buffer)[:length])
    _thread.buffer = buffer


# Each thread reuses its buffer: new memory costs a page fault for every page of every upload.
_thread = threading.local()


def parse_options(fields: dict[str, str]) -> RenderOptions:
    """The options in a form's fields. Raises a 422 problem that lists the invalid ones."""
    with translate_option_errors():
        return RenderOptions.model_validate_strings(fields)


def apply_preset(presets: Presets, name: str, options: RenderOptions) -> RenderOptions:
    """The options of a preset, overridden by those in the request. Raises UnknownPreset or a 422 problem."""
    if not name:
        return options
    expanded = expand_preset(presets, name, options.model_dump(include=options.model_fields_set))
    with translate_option_errors():
        return RenderOptions.model_validate(expanded)


@contextmanager
def translate_option_errors() -> Iterator[None]:
    """Translate validation errors of options to a 422 problem."""
    try:
        yield
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        raise invalid_request(errors, where="options") from error


def too_large(limit: int) -> Problem:
    return Problem(413, "upload-too-large", f"The drawing exceeds the limit of {format_bytes(limit)}.")
