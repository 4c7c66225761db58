"""The gate before a worker: what a message must look like to be let in.

Celery acknowledges a body that it cannot decode, so such a message would vanish. Every message is therefore checked
here, in the parent, before Celery sees it; one that is refused goes to the dead letters with the reason.
"""

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tasks import maintenance, renders, tickets, webhooks
from tasks.messaging.compatibility import UNREADABLE_HEADER
from tasks.messaging.publisher import may_use_queue

# Bytes. A render's message has about one thousand; a generous bound keeps a flood of large ones out of the parent.
MAX_BODY_BYTES = 64 * 1024

# Characters of what is wrong. The name of an unknown field is part of it, and that may be as long as the body.
MAX_REASON_LENGTH = 300

# Every task that is served, and what its message must be.
MESSAGE_SCHEMAS: dict[str, type[BaseModel]] = {
    renders.TASK: renders.RenderMessage,
    maintenance.SWEEP_TASK: maintenance.MaintenanceMessage,
    maintenance.RETAIN_TASK: maintenance.MaintenanceMessage,
    tickets.REQUEST_TASK: maintenance.MaintenanceMessage,
    tickets.TASK: tickets.RotateMessage,
    webhooks.TASK: webhooks.WebhookMessage,
}

# Where a message says the id of its task once more.
TASK_ID_FIELDS = {renders.TASK: ("job", "job"), webhooks.TASK: ("id", "webhook")}


class MessageHeaders(BaseModel):
    """Headers of Celery's protocol 2, as far as they could change what a worker does. Others are let through."""

    model_config = ConfigDict(strict=True)

    task: str
    id: renders.JobId
    root_id: Annotated[str, Field(max_length=255)] | None = None
    parent_id: Annotated[str, Field(max_length=255)] | None = None
    group: None = None
    group_index: None = None
    shadow: Annotated[str, Field(max_length=255)] | None = None
    retries: Literal[0] = 0
    eta: None = None
    expires: None = None
    timelimit: Annotated[list[float | None], Field(max_length=2)] | None = None  # renders heed none: FencedRequest
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    origin: str | None = None
    ignore_result: bool | None = None
    replaced_task_nesting: Literal[0] = 0
    stamped_headers: Annotated[list[str], Field(max_length=0)] | None = None
    stamps: Annotated[dict[str, Any], Field(max_length=0)] | None = None
    compression: None = None
    # Celery reads what follows a task from the headers where the body does not say.
    callbacks: None = None
    errbacks: None = None
    chain: None = None
    chord: None = None
    traceparent: str | None = None


class MessageEmbed(BaseModel):
    """Third part of the body. Nothing may follow from a message but its own task."""

    model_config = ConfigDict(strict=True, extra="forbid")

    callbacks: None = None
    errbacks: None = None
    chain: None = None
    chord: None = None


@cache
def _body_schema(message: type[BaseModel]) -> TypeAdapter[Any]:
    # No positional arguments: a message has names for everything.
    return TypeAdapter(tuple[tuple[()], message, MessageEmbed])  # type: ignore[valid-type]


def validate_message(
    headers: object, body: bytes, *, content_type: str | None, content_encoding: str | None, routing_key: str
) -> str | None:
    """Why a message must not be let in, in one sentence; None if it may."""
    if isinstance(headers, dict) and UNREADABLE_HEADER in headers:
        return f"the message cannot be read: {_truncate(str(headers[UNREADABLE_HEADER]))}"
    if len(body) > MAX_BODY_BYTES:
        return f"the body has {len(body):,} bytes; the largest allowed has {MAX_BODY_BYTES:,}"
    if content_type != "application/json":
        return f"the content type is {content_type!r}; only 'application/json' is taken"
    if (content_encoding or "").lower() not in ("utf-8", "utf8"):
        return f"the content encoding is {content_encoding!r}; only 'utf-8' is taken"
    try:
        envelope = MessageHeaders.model_validate(headers)
    except ValidationError as error:
        return f"the headers are not those of Celery's protocol 2: {_first_error(error)}"
    schema = MESSAGE_SCHEMAS.get(envelope.task)
    if schema is None or not may_use_queue(envelope.task, routing_key):
        return f"no task {envelope.task[:100]!r} is served on the queue {routing_key!r}"
    try:
        _args, message, _embedded = _body_schema(schema).validate_json(body)
    except ValidationError as error:
        if unknown := _unknown_version_reason(error):
            return unknown
        return f"the body is not [[], message, {{}}] with a message that fits {envelope.task}: {_first_error(error)}"
    field, kind = TASK_ID_FIELDS.get(envelope.task, ("", ""))
    if getattr(message, field, envelope.id) != envelope.id:
        return f"the task id is not the {kind}'s id"
    return None


def _unknown_version_reason(error: ValidationError) -> str | None:
    """What to do about a message that is newer than this worker; None if that is not what is wrong."""
    for fault in error.errors(include_url=False):
        if fault["loc"] == (1, "version") and fault["type"] == "literal_error":
            version, known = _truncate(repr(fault["input"])), fault["ctx"]["expected"]
            return f"the message has version {version}, this worker knows {known}: upgrade the workers, then replay it"
    return None


def _first_error(error: ValidationError) -> str:
    """The first thing wrong, without quoting the input at length."""
    detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in detail["loc"])
    text = f"{where}: {detail['msg']}" if where else detail["msg"]
    return _truncate(text)


def _truncate(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:MAX_REASON_LENGTH])
