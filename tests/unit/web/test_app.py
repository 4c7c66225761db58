"""The application as a whole: health, metrics, errors, OpenAPI, and what it never loads."""

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


def test_given_services_that_answer_when_asked_then_ready_and_alive(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"checks": {"broker": "ok", "ledger": "ok", "store": "ok"}}


def test_given_a_broker_that_is_away_when_asked_then_alive_but_not_ready_with_the_reason(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, house: Services
) -> None:
    def away(_queue: str) -> int:
        raise BrokerUnavailable("secret@host refused")

    monkeypatch.setattr(house.admission, "_count", away)
    answer = client.get("/readyz")

    assert client.get("/healthz").status_code == 200
    assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
    assert "check BULKHEAD_BROKER_URL" in answer.json()["checks"]["broker"]
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


def test_given_an_attempt_that_ended_when_metrics_are_read_then_they_tell_what_it_took(
    client: TestClient, house: Services
) -> None:
    job = house.ledger.jobs.find(post(client).json()["id"])
    assert job
    claim = house.ledger.attempts.claim(job, lease_owner="host:1:x", now=house.clock(), lease=30)
    assert isinstance(claim, Claimed)
    house.ledger.attempts.succeed(
        job.id, claim.job.attempt, now=house.clock(), artifact="a" * 64, facts={"peak_bytes": 123456}
    )
    text = client.get("/metrics").text

    assert 'bulkhead_attempts_total{cause="",outcome="succeeded"} 1.0' in text
    assert "bulkhead_attempt_peak_memory_bytes_sum 123456.0" in text


def test_given_an_unknown_address_when_asked_then_404_is_a_problem(client: TestClient) -> None:
    answer = client.get("/nowhere")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:bulkhead:problem:not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing at this address; /openapi.json lists what there is.",
        "code": "not-found",
    }


def test_given_a_method_that_is_not_taken_when_used_then_405_names_those_that_are(client: TestClient) -> None:
    answer = client.put("/renders")
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "POST"}


def test_given_a_method_that_an_output_does_not_take_when_used_then_405_names_those_it_takes_once(
    client: TestClient,
) -> None:
    answer = client.post(f"/renders/{uuid4()}/manifest.json")
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert [set(value.split(", ")) for value in answer.headers.get_list("allow")] == [{"GET", "HEAD"}]


def test_given_a_fault_of_ours_when_it_happens_then_500_tells_no_secret(
    client: TestClient, house: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(type(house.ledger.jobs), "page", breaks)
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
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    assert {name.rpartition("/")[2] for name in references(document)} <= set(schemas)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)


def test_given_the_web_tier_when_imported_then_no_native_imaging_is_loaded() -> None:
    look = (
        "import sys, web.app; web.app.create_app(); "
        "print(*{'wand', 'pyvips', 'numpy', 'ezdxf', 'cairocffi', 'pypdfium2', 'sqlalchemy.orm'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=30)
    assert loaded.stdout.strip() == ""
