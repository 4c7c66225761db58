"""Submitting renders while a service fails, a queue is full, or too many calls wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tasks.jobs import Job, LedgerUnavailable, State
from tasks.messaging.connections import BrokerUnavailable, QueueFull
from tasks.renders import RenderOptions, artifact_key
from tasks.storage import StoreError, StoreFull
from tests.unit.web.support import Clock, FakeBroker, TestClient, png, post, stored_sources
from web.dependencies import Services

Finish = Callable[..., Job]


def jobs(services: Services) -> list[Job]:
    return services.ledger.jobs.page("acme").jobs


@pytest.mark.parametrize(
    ("error", "status", "code", "job_error"),
    [
        (BrokerUnavailable("refused"), 503, "broker-unavailable", "broker-unavailable"),
        (QueueFull(), 429, "queue-full", "queue-full"),
    ],
)
def test_given_a_broker_that_does_not_confirm_when_posted_then_the_job_is_cancelled(
    client: TestClient, services: Services, broker: FakeBroker, error: Exception, status: int, code: str, job_error: str
) -> None:
    broker.error = error
    answer = post(client, headers={"idempotency-key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert int(answer.headers["retry-after"]) > 0
    [job] = jobs(services)
    assert job.state is State.CANCELLED
    assert job.error is not None
    assert job.error["code"] == job_error
    assert stored_sources(services) == []

    broker.error = None
    services.admission._broker_failed_at = float("-inf")
    assert post(client, headers={"idempotency-key": "k"}).status_code == 202


def test_given_a_broker_that_failed_within_the_last_second_when_posted_then_503_at_once(
    client: TestClient, services: Services, broker: FakeBroker, admission_clock: Clock
) -> None:
    broker.error = BrokerUnavailable()
    post(client)
    broker.error = None

    assert post(client).status_code == 503
    assert len(jobs(services)) == 1
    admission_clock.now += 1.1
    assert post(client).status_code == 202


def test_given_an_unconfirmed_job_that_a_worker_finished_when_posted_then_202(
    client: TestClient, broker: FakeBroker, finish: Finish
) -> None:
    def publish(task: str, job_id: str, message: dict[str, Any], *, queue: str | None = None) -> None:  # noqa: ARG001
        finish(job_id)
        raise BrokerUnavailable

    broker.publish = publish  # type: ignore[method-assign]
    answer = post(client)

    assert answer.status_code == 202
    assert client.get(answer.headers["location"]).json()["state"] == "succeeded"


def test_given_an_unavailable_ledger_when_posted_then_503_and_the_source_is_deleted(
    client: TestClient, services: Services, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise LedgerUnavailable(OperationalError("insert", {}, Exception("gone away")))

    monkeypatch.setattr(type(services.ledger.jobs), "accept", fail)
    answer = post(client)

    assert (answer.status_code, answer.json()["code"]) == (503, "ledger-unavailable")
    assert answer.headers["retry-after"] == "2"
    assert "gone away" not in answer.text
    assert (stored_sources(services), broker.messages) == ([], [])


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(StoreFull(), 507, "store-full"), (StoreError("secret path"), 503, "store-unavailable")],
)
def test_given_a_failing_store_when_posted_then_the_problem_says_so(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    def fail(*_args: object) -> None:
        raise error

    monkeypatch.setattr("tasks.storage.staging.Writer.commit", fail)
    answer = post(client, headers={"idempotency-key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert jobs(services) == []
    monkeypatch.undo()
    assert post(client, headers={"idempotency-key": "k"}).status_code == 202


def test_given_a_full_queue_when_posted_then_429_before_the_body_is_stored(
    client: TestClient, services: Services, broker: FakeBroker
) -> None:
    broker.depth = services.settings.queue_limit
    answer = post(client)

    assert (answer.status_code, answer.json()["code"]) == (429, "queue-full")
    assert 1 <= int(answer.headers["retry-after"]) <= 300
    assert jobs(services) == []


def test_given_a_ledger_that_fails_while_the_client_waits_then_202_because_the_job_is_accepted(
    client: TestClient, services: Services, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise LedgerUnavailable(OperationalError("select", {}, Exception("gone away")))

    monkeypatch.setattr(type(services.ledger.jobs), "find", fail)
    answer = post(client, headers={"prefer": "wait=5"})

    assert len(broker.messages) == 1
    assert (answer.status_code, answer.json()["id"]) == (202, broker.messages[0]["job"])


def test_given_too_many_waiting_calls_when_posted_then_503_at_once(client: TestClient, services: Services) -> None:
    busy = replace(services, write_threads=Busy())  # type: ignore[arg-type]
    client.app.state.services = busy  # type: ignore[attr-defined]
    answer = post(client)

    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "2"
    assert jobs(services) == []


@pytest.mark.timeout(20)
def test_given_a_busy_read_pool_when_posted_then_the_upload_does_not_wait(
    client: TestClient, services: Services
) -> None:
    client.app.state.services = replace(services, read_threads=NeverAcquired())  # type: ignore[arg-type, attr-defined]
    assert post(client).status_code == 202


class NeverAcquired:
    """A limiter that is never acquired."""

    async def __aenter__(self) -> None:
        await asyncio.sleep(3600)

    async def __aexit__(self, *_error: object) -> None:
        pass


class Busy:
    """A limiter for which very many calls wait."""

    def statistics(self) -> Any:
        return SimpleNamespace(tasks_waiting=10_000)


def test_given_a_store_below_its_minimum_free_space_when_posted_then_507_says_what_to_do(
    client: TestClient, services: Services, finish: Finish
) -> None:
    done = post(client).json()["id"]
    finish(done, artifact_key("a secret of the test", "acme", sha256(png()).hexdigest(), RenderOptions()))
    object.__setattr__(services, "settings", services.settings.model_copy(update={"store_min_free": 1 << 60}))
    before = stored_sources(services)

    rejected = post(client, png(salt=b"other"))

    assert (rejected.status_code, rejected.json()["code"]) == (507, "store-full")
    assert rejected.json()["detail"].endswith(
        "of free space; 1,073,741,824.0 GiB are reserved for open renders. "
        "Remove renders that are no longer needed, or enlarge the disk."
    )
    assert stored_sources(services) == before
    assert post(client).json()["state"] == "succeeded"  # it needs no space
