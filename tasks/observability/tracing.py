"""Spans for OpenTelemetry, where BULKHEAD_OTLP_URL names a collector (extra `bulkhead[otel]`); else nothing is loaded.

A span is sent by a thread of its process within half a second: a child that is killed takes its last ones along, and no
job waits for a collector.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from tasks.settings import settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

HEADER = "traceparent"
EXPORT_DELAY_MS = 500  # milliseconds that a span waits for others
EXPORT_TIMEOUT = 2.0  # seconds that a collector has to answer


class TracingNotInstalled(RuntimeError):
    """BULKHEAD_OTLP_URL is set, but OpenTelemetry is missing: pip install 'bulkhead[otel]'."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__))


@contextmanager
def span(name: str, traceparent: str | None, **attributes: str | int) -> Iterator[str | None]:
    """A span below `traceparent`, and the traceparent of what follows from it: the same where nobody collects.

    Raises NoTracing. An exception that leaves the block is recorded in the span.
    """
    url = settings().otlp_url
    if not url:
        yield traceparent
        return
    provider = _provider(url, os.getpid())
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagator = TraceContextTextMapPropagator()
    above = propagator.extract({HEADER: traceparent} if traceparent else {})
    with provider.get_tracer("bulkhead").start_as_current_span(name, above, attributes=attributes):
        carrier: dict[str, str] = {}
        propagator.inject(carrier)
        yield carrier[HEADER]


@cache
def _provider(url: str, _process: int) -> TracerProvider:
    """One a process: the thread that sends does not survive a fork."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TracingNotInstalled from error
    provider = TracerProvider(resource=Resource.create({"service.name": "bulkhead"}))
    exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", timeout=EXPORT_TIMEOUT)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_DELAY_MS))
    return provider
