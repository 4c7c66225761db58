"""Log lines that say which job, attempt and trace they are about: as text for people, as JSON for machines.

with about(job=job.id, attempt=2, traceparent=job.traceparent):
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
# The parts of a record that a JSON line begins with, and their names in it.
FIELDS = "%(asctime)s %(levelname)s %(name)s %(process)d %(message)s"
FIELD_NAMES = {"asctime": "time", "levelname": "level", "name": "logger"}

_context: ContextVar[Mapping[str, str | int]] = ContextVar("subject")


@contextmanager
def log_context(*, job: str, attempt: int = 0, traceparent: str | None = None) -> Iterator[None]:
    """Lines logged inside, by this thread, are about this job. Attempt 0 means none."""
    given: dict[str, str | int | None] = {"job": job, "attempt": attempt, "trace_id": trace_id(traceparent)}
    token = _context.set({name: value for name, value in given.items() if value})
    try:
        yield
    finally:
        _context.reset(token)


def trace_id(traceparent: str | None) -> str | None:
    """The trace of a W3C `traceparent`: its second part."""
    return traceparent.split("-")[1] if traceparent else None


class JsonLineFormatter(JsonFormatter):
    """One JSON object a line, with what it is about."""

    def __init__(self) -> None:
        super().__init__(
            FIELDS,
            rename_fields=FIELD_NAMES,
            datefmt="%Y-%m-%dT%H:%M:%S%z",
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],  # uvicorn's, for terminals
        )

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """What the base class adds, and the subject."""
        super().add_fields(log_data, record, message_dict)
        log_data.update(_context.get({}))


def formatter(log_format: str) -> logging.Formatter:
    """The formatter for `text` or `json`."""
    return JsonLineFormatter() if log_format == "json" else logging.Formatter(TEXT)


def logging_config(log_format: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`: everything from INFO on goes to the standard error stream in this form."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "tasks.observability.logs.formatter", "form": log_format}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
    }
