"""Requests for a render, read from the wire: a form with the drawing, or JSON that names one in the store.

A drawing is written to the store's own temporary file while it is hashed; no more than a chunk is held in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.presets import Presets, UnknownPreset, expand_preset
from tasks.renders import MAX_FILENAME, RenderOptions, SourceKey
from tasks.settings import Settings
from tasks.storage import ObjectNotFound, Writer
from tasks.webhooks import WebhookUrl
from web.dependencies import Services
from web.problems import Problem, invalid_request
from web.submit.idempotency import fingerprint
from web.submit.multipart import FormReader, boundary_of, clean_filename
from web.submit.webhook_policy import check_webhook

CHUNK_SIZE = 2 << 20  # bytes held in memory before a thread writes them
FORM_OVERHEAD = 256 * 1024  # bytes that a form may add to the drawing
MAX_JSON = 64 * 1024  # bytes
MULTIPART = "multipart/form-data"
JSON = "application/json"


PRESET = Field("", max_length=100, description="A named set of options of this server; those given win.")
WEBHOOK = Field(None, description="Address that is told of the end, on a host that this server allows.")


class RenderRequest(BaseModel):
    """A render of a drawing that lies in the store already."""

    model_config = ConfigDict(extra="forbid", strict=True)

    source: SourceKey = Field(description="Key of the drawing, below `sources/<tenant>/`.")
    filename: str = Field("", max_length=MAX_FILENAME, description="What you call the drawing.")
    preset: str = PRESET
    webhook: WebhookUrl | None = WEBHOOK
    options: RenderOptions = Field(default_factory=RenderOptions)


@dataclass
class ParsedRequest:
    """What a request asks for. `writer` holds an uploaded drawing, not yet committed; else `source` names one."""

    options: RenderOptions
    filename: str
    source: str
    writer: Writer | None = None
    unwritten: list[memoryview] = field(default_factory=list)
    webhook: str | None = None

    def flush(self) -> None:
        """Write what is still held of an upload. Blocks."""
        if self.writer:
            write_all(self.writer, self.unwritten)
        self.unwritten = []

    @property
    def digest(self) -> str | None:
        """SHA-256 of an uploaded and settled drawing, in hex."""
        return self.writer.digest if self.writer else None

    @property
    def fingerprint(self) -> str:
        """Tells requests of other content apart."""
        return fingerprint(self.digest or self.source, self.filename, self.options, self.webhook)

    def discard(self) -> None:
        """Forget an upload that was not committed."""
        if self.writer:
            self.writer.discard()


async def read_request(request: Request, house: Services, tenant: str, key: str) -> ParsedRequest:
    """Read the body; an upload will be stored under `key`. Raises problems; leaves nothing behind then."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return await read_form(request, house, tenant, key)
    if kind == JSON:
        return await read_json(request, house.settings, tenant)
    raise Problem(
        415, "unsupported-media-type", f"Send {MULTIPART} with the drawing, or {JSON} naming one in the store."
    )


async def read_json(request: Request, settings: Settings, tenant: str) -> ParsedRequest:
    body = await read_body(request, MAX_JSON)
    try:
        asked = RenderRequest.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise invalid_request(
            faults, where="body", status=400 if faults[0]["type"] == "json_invalid" else 422
        ) from error
    if asked.source.split("/")[1] != tenant:
        raise ObjectNotFound(asked.source)
    options = apply_preset(settings.presets, asked.preset, asked.options)
    webhook = check_webhook(settings, tenant, asked.webhook)
    return ParsedRequest(options, clean_filename(asked.filename), asked.source, webhook=webhook)


async def read_body(request: Request, limit: int) -> bytes:
    """A small body. Raises a 413 problem."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Problem(413, "request-too-large", f"The JSON is larger than {limit} bytes.")
    return bytes(body)


async def read_form(request: Request, house: Services, tenant: str, key: str) -> ParsedRequest:
    limit = house.settings.upload_limit
    if int(request.headers.get("content-length", "0")) > limit + FORM_OVERHEAD:
        raise too_large(limit)
    reader = FormReader(boundary_of(request.headers["content-type"]))
    writer = house.store.writer(key)
    try:
        held = await receive_blueprint(request, reader, writer, house)
        form = reader.finish()
        house.metrics.uploaded_bytes.inc(writer.size + sum(map(len, held)))
        preset = form.fields.pop("preset", "")
        webhook = check_webhook(house.settings, tenant, form.fields.pop("webhook", "") or None)
        options = apply_preset(house.settings.presets, preset, parse_options(form.fields))
        return ParsedRequest(options, form.filename, key, writer, held, webhook)
    except BaseException:
        writer.discard()
        raise


async def receive_blueprint(request: Request, reader: FormReader, writer: Writer, house: Services) -> list[memoryview]:
    """Move the drawing from the wire into `writer`, save its end, which is returned: whoever goes on with the drawing
    in a thread saves a trip by writing it there. Raises a 413 problem."""
    limit = house.settings.upload_limit
    received = found = held = 0
    pieces: list[memoryview] = []
    async for chunk in request.stream():
        received += len(chunk)
        new = reader.feed(chunk)
        size = sum(map(len, new))
        found, held = found + size, held + size
        if received > limit + FORM_OVERHEAD or found > limit:
            raise too_large(limit)
        pieces += new
        if held >= CHUNK_SIZE:
            await house.run_write(write_all, writer, pieces)
            pieces, held = [], 0
    return pieces


def write_all(writer: Writer, pieces: Iterable[memoryview]) -> None:
    """Write the pieces as one: each call that hashes or writes gives up the interpreter and has to win it back."""
    buffer = getattr(_thread, "buffer", None) or bytearray(CHUNK_SIZE)
    length = 0
    for piece in pieces:
        buffer[length : length + len(piece)] = piece
        length += len(piece)
    writer.write(memoryview(buffer)[:length])
    _thread.buffer = buffer


# Each thread keeps its buffer: new memory costs a page fault for every page of every drawing.
_thread = threading.local()


def parse_options(fields: dict[str, str]) -> RenderOptions:
    """The options in a form's fields. Raises a 422 problem that names the faults."""
    with translate_option_errors():
        return RenderOptions.model_validate_strings(fields)


def apply_preset(presets: Presets, name: str, given: RenderOptions) -> RenderOptions:
    """The options of a preset with those that were given. Raises a 422 problem if there is no such preset."""
    try:
        options = expand_preset(presets, name, given.model_dump(include=given.model_fields_set))
    except UnknownPreset as error:
        raise Problem(422, "unknown-preset", str(error)) from error
    with translate_option_errors():
        return RenderOptions.model_validate(options)


@contextmanager
def translate_option_errors() -> Iterator[None]:
    """Turn what is wrong with options into a 422 problem."""
    try:
        yield
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise invalid_request(faults, where="options") from error


def too_large(limit: int) -> Problem:
    return Problem(413, "upload-too-large", f"The drawing is larger than {limit:,} bytes, the most that is taken.")
