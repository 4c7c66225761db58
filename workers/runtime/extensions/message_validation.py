"""Validates messages before Celery handles them.

Celery acknowledges a body that it cannot decode, so such a message would be lost. The parent therefore validates every
message first and dead-letters an invalid one together with the reason.
"""

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tasks import maintenance, renders, tickets, webhooks
from tasks.messaging.compatibility import UNREADABLE_HEADER
from tasks.messaging.publisher import may_use_queue

# Bytes. A render message has about one thousand; the limit keeps floods of large messages out of the parent.
MAX_BODY_BYTES = 64 * 1024

# Characters of a reason. It quotes the name of an unknown field, which may be as long as the body.
MAX_REASON_LENGTH = 300

# The tasks of our workers with the schemas of their messages.
MESSAGE_SCHEMAS: dict[str, type[BaseModel]] = {
    renders.TASK: renders.RenderMessage,
    maintenance.SWEEP_TASK: maintenance.MaintenanceMessage,
    maintenance.RETAIN_TASK: maintenance.MaintenanceMessage,
    tickets.REQUEST_TASK: maintenance.MaintenanceMessage,
    tickets.TASK: tickets.RotateMessage,
    webhooks.TASK: webhooks.WebhookMessage,
}

# Fields that repeat the id of the task.
TASK_ID_FIELDS = {renders.TASK: ("job", "job"), webhooks.TASK: ("id", "webhook")}


class MessageHeaders(BaseModel):
    """Headers of Celery's protocol 2 that could change what a worker does. Other headers are ignored."""

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
    timelimit: Annotated[list[float | None], Field(max_length=2)] | None = None  # ignored: CrashReportingRequest
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    origin: str | None = None
    ignore_result: bool | None = None
    replaced_task_nesting: Literal[0] = 0
    stamped_headers: Annotated[list[str], Field(max_length=0)] | None = None
    stamps: Annotated[dict[str, Any], Field(max_length=0)] | None = None
    compression: None = None
    # Celery reads follow-up tasks from the headers if the body has none.
    callbacks: None = None
    errbacks: None = None
    chain: None = None
    chord: None = None
    traceparent: str | None = None


class MessageEmbed(BaseModel):
    """The third part of the body. A message must not start other tasks."""

    model_config = ConfigDict(strict=True, extra="forbid")

    callbacks: None = None
    errbacks: None = None
    chain: None = None
    chord: None = None


@cache
def _body_schema(message: type[BaseModel]) -> TypeAdapter[Any]:
    # The empty tuple: positional arguments are not allowed.
    return TypeAdapter(tuple[tuple[()], message, MessageEmbed])  # type: ignore[valid-type]


def validate_message(
    headers: object, body: bytes, *, content_type: str | None, content_encoding: str | None, routing_key: str
) -> str | None:
    """Why a message is invalid, in one sentence; None if it is valid."""
    if isinstance(headers, dict) and UNREADABLE_HEADER in headers:
        return f"the message cannot be read: {_truncate(str(headers[UNREADABLE_HEADER]))}"
    if len(body) > MAX_BODY_BYTES:
        return f"the body has {len(body):,} bytes; the largest allowed has {MAX_BODY_BYTES:,}"
    if content_type != "application/json":
        return f"the content type is {content_type!r}; only 'application/json' is accepted"
    if (content_encoding or "").lower() not in ("utf-8", "utf8"):
        return f"the content encoding is {content_encoding!r}; only 'utf-8' is accepted"
    try:
        valid_headers = MessageHeaders.model_validate(headers)
    except ValidationError as error:
        return f"the headers are not those of Celery's protocol 2: {_first_error(error)}"
    schema = MESSAGE_SCHEMAS.get(valid_headers.task)
    if schema is None or not may_use_queue(valid_headers.task, routing_key):
        return f"no task {valid_headers.task[:100]!r} is handled on the queue {routing_key!r}"
    try:
        _args, message, _embed = _body_schema(schema).validate_json(body)
    except ValidationError as error:
        if unknown := _unknown_version_reason(error):
            return unknown
        return (
            f"the body is not [[], message, {{}}] with a message that fits {valid_headers.task}: {_first_error(error)}"
        )
    field, kind = TASK_ID_FIELDS.get(valid_headers.task, ("", ""))
    if getattr(message, field, valid_headers.id) != valid_headers.id:
        return f"the task id is not the {kind}'s id"
    return None


def _unknown_version_reason(error: ValidationError) -> str | None:
    """What to do about a message that is newer than this worker; None if the error is a different one."""
    for detail in error.errors(include_url=False):
        if detail["loc"] == (1, "version") and detail["type"] == "literal_error":
            version, known = _truncate(repr(detail["input"])), detail["ctx"]["expected"]
            return (
                f"the message has version {version}, this worker supports {known}: upgrade the workers, then replay it"
            )
    return None


def _first_error(error: ValidationError) -> str:
    """The first error, without the invalid input."""
    detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in detail["loc"])
    text = f"{where}: {detail['msg']}" if where else detail["msg"]
    return _truncate(text)


def _truncate(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_REASON_LENGTH])
