"""One trace from the request to the worker, at a collector and in log lines."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tasks.jobs import State
from tests.integration.http.api_server import open_api_server
from tests.integration.jobs.renders import Renders, drawing
from tests.services.platform import Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Collector(http.server.ThreadingHTTPServer):
    """Receives spans like an OpenTelemetry collector."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.spans: list[Span] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def wait_for_span(self, name: str) -> Span:
        """Wait for the span with this name. Raises TimeoutError."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for span in self.spans:
                if span.name == name:
                    return span
            time.sleep(0.05)
        raise TimeoutError(name)


class Receiver(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        request = ExportTraceServiceRequest.FromString(body)
        self.server.spans += [
            span for attribute in request.resource_spans for scope in attribute.scope_spans for span in scope.spans
        ]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_given_a_request_with_a_trace_then_its_spans_belong_to_that_trace(
    platform: Platform, collector: Collector
) -> None:
    settings = {"otlp_url": collector.url, "log_format": "json"}
    platform.start_worker(**settings)
    with open_api_server(platform, **settings) as intake:
        response = intake.post(drawing(1), {"traceparent": TRACEPARENT, "prefer": "wait=30"})
    job = response.json()["id"]

    submit, attempt = collector.wait_for_span("submit"), collector.wait_for_span("attempt")
    assert {submit.trace_id.hex(), attempt.trace_id.hex()} == {TRACE}
    assert submit.parent_span_id.hex() == PARENT
    assert attempt.parent_span_id == submit.span_id
    assert {
        attribute.key: attribute.value.string_value or attribute.value.int_value for attribute in attempt.attributes
    } == {
        "job": job,
        "attempt": 1,
    }


def test_given_json_logs_when_a_job_fails_then_the_line_has_job_attempt_and_trace(
    platform: Platform,
) -> None:
    platform.start_worker(log_format="json")
    with closing(Renders(platform)) as sent:
        message = sent.make(traceparent=TRACEPARENT)
        sent.store.put(message.source, b"this is no drawing at all")
        sent.accept(message, traceparent=TRACEPARENT)
        sent.publish(message)
        assert sent.finished(message.job).state is State.FAILED

    text = (platform.directory / "log" / "render1.log").read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    (failed,) = [line for line in lines if line["message"].startswith(f"Job {message.job} failed")]
    assert failed.items() >= {"job": message.job, "attempt": 1, "trace_id": TRACE, "level": "WARNING"}.items()
