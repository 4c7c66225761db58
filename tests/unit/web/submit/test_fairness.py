"""Quota and window of a tenant: which renders are rejected, and which wait in the ledger."""

from __future__ import annotations

from typing import Any

from tasks.jobs import Job, State
from tests.unit.web.support import FakeBroker, TestClient, png, post, stored_sources
from web.dependencies import Services


def limit(services: Services, **settings: Any) -> None:
    object.__setattr__(services, "settings", services.settings.model_copy(update=settings))


def submit(client: TestClient, number: int, **fields: Any) -> Any:
    return post(client, png(salt=str(number).encode()), **fields)


def jobs(services: Services, tenant: str = "acme") -> list[Job]:
    return services.ledger.jobs.page(tenant).jobs


def test_given_an_exhausted_quota_then_429_and_other_tenants_are_not_affected(
    client: TestClient, rival: TestClient, services: Services
) -> None:
    limit(services, tenant_quota=2)
    assert [submit(client, number).status_code for number in range(2)] == [202, 202]

    rejected = submit(client, 3)

    assert (rejected.status_code, rejected.json()["code"], rejected.headers["retry-after"]) == (
        429,
        "quota-exceeded",
        "10",
    )
    assert rejected.json()["detail"] == (
        "You have reached your quota of 2 waiting or running renders. "
        "Wait until one finishes or cancel one, then try again in 10 s."
    )
    assert (len(jobs(services)), len(stored_sources(services))) == (2, 2)
    assert submit(rival, 1).status_code == 202


def test_given_an_exhausted_quota_when_a_render_finishes_or_is_cancelled_then_there_is_room(
    client: TestClient, services: Services, finish: Any
) -> None:
    limit(services, tenant_quota=1)
    first = submit(client, 1).json()["id"]
    assert submit(client, 2).status_code == 429
    finish(first)
    second = submit(client, 2).json()["id"]
    assert submit(client, 3).status_code == 429
    client.delete(f"/renders/{second}")
    assert submit(client, 3).status_code == 202


def test_given_a_full_window_then_further_renders_are_accepted_and_wait_in_the_ledger(
    client: TestClient, rival: TestClient, services: Services, broker: FakeBroker
) -> None:
    limit(services, tenant_max_queued=2)

    answers = [submit(client, number) for number in range(4)]

    assert [answer.status_code for answer in answers] == [202] * 4
    assert [answer.json()["state"] for answer in answers] == ["queued", "queued", "accepted", "accepted"]
    assert len(broker.messages) == 2
    assert len(stored_sources(services)) == 4
    deferred = [job for job in jobs(services) if job.state is State.ACCEPTED]
    assert {(job.published_at, job.publications) for job in deferred} == {(None, 0)}
    assert submit(rival, 1).json()["state"] == "queued"


def test_given_a_full_window_in_one_queue_then_the_other_queue_is_open(client: TestClient, services: Services) -> None:
    limit(services, tenant_max_queued=1)

    states = [submit(client, 1, tiles=tiles).json()["state"] for tiles in ("true", "true", "false")]

    assert states == ["queued", "accepted", "queued"]


def test_given_a_render_over_the_quota_when_retried_with_the_same_key_then_it_is_a_new_request(
    client: TestClient, services: Services, finish: Any
) -> None:
    limit(services, tenant_quota=1)
    first = submit(client, 1).json()["id"]
    drawing = png(salt=b"other")
    assert post(client, drawing, headers={"idempotency-key": "k"}).status_code == 429
    finish(first)
    assert post(client, drawing, headers={"idempotency-key": "k"}).status_code == 202
