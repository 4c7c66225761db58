"""Log lines as text, or as JSON with the job, attempt and trace that they belong to.

with log_context(job=job.id, attempt=2, traceparent=job.traceparent):
    logger.warning("...")       # in JSON the line has "job", "attempt" and "trace_id"
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

TEXT = "%(asctime)s %(levelname)s %(message)s"
# The fields of a record that a JSON line begins with, and the names of some of them in it.
FIELDS = "%(asctime)s %(levelname)s %(name)s %(process)d %(message)s"
FIELD_NAMES = {"asctime": "time", "levelname": "level", "name": "logger"}

_context: ContextVar[Mapping[str, str | int]] = ContextVar("log_context")


@contextmanager
def log_context(*, job: str, attempt: int = 0, traceparent: str | None = None) -> Iterator[None]:
    """Add the job to lines that this thread logs within the block. Attempt 0 means none."""
    context: dict[str, str | int | None] = {"job": job, "attempt": attempt, "trace_id": trace_id(traceparent)}
    token = _context.set({name: value for name, value in context.items() if value})
    try:
        yield
    finally:
        _context.reset(token)


def trace_id(traceparent: str | None) -> str | None:
    """The trace id of a W3C `traceparent`, its second part."""
    return traceparent.split("-")[1] if traceparent else None


class JsonLineFormatter(JsonFormatter):
    """Formats a line as one JSON object, with the current log context."""

    def __init__(self) -> None:
        super().__init__(
            FIELDS,
            rename_fields=FIELD_NAMES,
            datefmt="%Y-%m-%dT%H:%M:%S%z",
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],  # uvicorn's, for terminals
        )

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Add the fields of the base class and the log context."""
        super().add_fields(log_data, record, message_dict)
        log_data.update(_context.get({}))


def formatter(log_format: str) -> logging.Formatter:
    """The formatter for `text` or `json`."""
    return JsonLineFormatter() if log_format == "json" else logging.Formatter(TEXT)


def logging_config(log_format: str) -> dict[str, Any]:
    """Configuration for `logging.config.dictConfig`: INFO and above go to standard error in this format."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "tasks.observability.logs.formatter", "log_format": log_format}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
    }
