"""The whole application: health, metrics, errors, OpenAPI and imports."""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from uuid import uuid4

import pytest

from tasks.jobs import Claimed
from tasks.messaging.connections import BrokerUnavailable
from tests.unit.web.support import TestClient, post
from web.dependencies import Services


def test_given_available_services_when_checked_then_alive_and_ready(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"checks": {"broker": "ok", "ledger": "ok", "store": "ok"}}


def test_given_an_unavailable_broker_when_checked_then_alive_but_not_ready_with_the_reason(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, services: Services
) -> None:
    def count(_queue: str) -> int:
        raise BrokerUnavailable("secret@host refused")

    monkeypatch.setattr(services.admission, "_count", count)
    answer = client.get("/readyz")

    assert client.get("/healthz").status_code == 200
    assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
    assert "Check BULKHEAD_BROKER_URL" in answer.json()["checks"]["broker"]
    assert answer.json()["checks"]["ledger"] == "ok"
    assert "secret@host" not in answer.text


def test_given_requests_when_metrics_are_read_then_they_are_counted_by_route(client: TestClient) -> None:
    post(client)
    client.get("/nowhere")
    client.get(f"/renders/{uuid4()}/layers/3.webp")
    text = client.get("/metrics").text

    assert 'bulkhead_http_requests_total{method="POST",route="/renders",status="202"} 1.0' in text
    assert 'bulkhead_http_requests_total{method="GET",route="unknown",status="404"} 1.0' in text
    assert 'route="/renders/{render}/layers/{number}.webp",status="404"} 1.0' in text
    assert 'bulkhead_submissions_total{outcome="accepted"} 1.0' in text
    assert 'bulkhead_jobs{state="queued"} 1.0' in text


def test_given_a_finished_attempt_when_metrics_are_read_then_they_contain_its_memory(
    client: TestClient, services: Services
) -> None:
    job = services.ledger.jobs.find(post(client).json()["id"])
    assert job
    claim = services.ledger.attempts.claim(job, lease_owner="host:1:x", now=services.clock(), lease=30)
    assert isinstance(claim, Claimed)
    services.ledger.attempts.succeed(
        job.id, claim.job.attempt, now=services.clock(), artifact="a" * 64, facts={"peak_bytes": 123456}
    )
    text = client.get("/metrics").text

    assert 'bulkhead_attempts_total{cause="",outcome="succeeded"} 1.0' in text
    assert "bulkhead_attempt_peak_memory_bytes_sum 123456.0" in text


def test_given_an_unknown_url_when_requested_then_404_is_a_problem(client: TestClient) -> None:
    answer = client.get("/nowhere")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:bulkhead:problem:not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no resource at this URL. /openapi.json lists the available ones.",
        "code": "not-found",
    }


def test_given_an_unsupported_method_when_used_then_405_lists_the_supported_ones(client: TestClient) -> None:
    answer = client.put("/renders")
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "POST"}


def test_given_an_unsupported_method_on_an_output_when_used_then_405_lists_the_supported_ones_once(
    client: TestClient,
) -> None:
    answer = client.post(f"/renders/{uuid4()}/manifest.json")
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert [set(value.split(", ")) for value in answer.headers.get_list("allow")] == [{"GET", "HEAD"}]


def test_given_a_bug_when_it_raises_then_500_reveals_no_secret(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def page(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(type(services.ledger.jobs), "page", page)
    answer = client.get("/renders")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert 'route="/renders",status="500"} 1.0' in client.get("/metrics").text
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_given_the_openapi_document_when_read_then_every_error_is_a_problem_and_every_reference_resolves(
    client: TestClient,
) -> None:
    document: dict[str, Any] = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            reference = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return reference.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    assert {name.rpartition("/")[2] for name in references(document)} <= set(schemas)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)


def test_given_the_web_server_when_imported_then_no_native_imaging_is_loaded() -> None:
    program = (
        "import sys, web.app; web.app.create_app(); "
        "print(*{'wand', 'pyvips', 'numpy', 'ezdxf', 'cairocffi', 'pypdfium2', 'sqlalchemy.orm'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert loaded.stdout.strip() == ""
