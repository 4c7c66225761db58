"""OpenTelemetry spans, if BULKHEAD_OTLP_URL names a collector (extra `bulkhead[otel]`); otherwise nothing is loaded.

A thread of the process exports its spans within half a second. No job waits for the collector; the last spans of a
child process that is killed are lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from tasks.errors import ServiceUnavailable
from tasks.settings import settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

HEADER = "traceparent"
EXPORT_DELAY_MS = 500  # milliseconds between two exports
EXPORT_TIMEOUT = 2.0  # seconds that a collector has to answer


class TracingNotInstalled(ServiceUnavailable):
    """BULKHEAD_OTLP_URL is set, but OpenTelemetry is missing: pip install 'bulkhead[otel]'."""

    code = "tracing-not-installed"
    transient = False


@contextmanager
def span(name: str, traceparent: str | None, **attributes: str | int) -> Iterator[str | None]:
    """Record a span whose parent is `traceparent`, and yield the traceparent of its children.

    Without a collector that is `traceparent` itself. Raises TracingNotInstalled. An exception that leaves the block is
    recorded in the span.
    """
    url = settings().otlp_url
    if not url:
        yield traceparent
        return
    provider = _provider(url, os.getpid())
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagator = TraceContextTextMapPropagator()
    parent = propagator.extract({HEADER: traceparent} if traceparent else {})
    with provider.get_tracer("bulkhead").start_as_current_span(name, parent, attributes=attributes):
        carrier: dict[str, str] = {}
        propagator.inject(carrier)
        yield carrier[HEADER]


@cache
def _provider(url: str, _process: int) -> TracerProvider:
    """The provider of this process: its exporting thread does not survive a fork."""
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
