"""Quota and window of a tenant: what is refused, what waits for its turn, and whom that does not concern."""

from __future__ import annotations

from typing import Any

from tasks.jobs import Job, State
from tests.unit.web.support import FakeBroker, TestClient, png, post, stored_sources
from web.dependencies import Services


def limit(services: Services, **settings: Any) -> None:
    object.__setattr__(services, "settings", services.settings.model_copy(update=settings))


def ask(client: TestClient, number: int, **fields: Any) -> Any:
    return post(client, png(salt=str(number).encode()), **fields)


def jobs(services: Services, tenant: str = "acme") -> list[Job]:
    return services.ledger.jobs.page(tenant).jobs


def test_given_a_quota_when_it_is_used_up_then_429_says_so_leaves_no_trace_and_other_tenants_go_on(
    client: TestClient, rival: TestClient, services: Services
) -> None:
    limit(services, tenant_quota=2)
    assert [ask(client, number).status_code for number in range(2)] == [202, 202]

    refused = ask(client, 3)

    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (
        429,
        "quota-exceeded",
        "10",
    )
    assert refused.json()["detail"] == (
        "You have 2 renders waiting or running, which is your quota: "
        "wait until one is done or cancel one, and try again in 10 s."
    )
    assert (len(jobs(services)), len(stored_sources(services))) == (2, 2)
    assert ask(rival, 1).status_code == 202


def test_given_a_quota_when_a_render_is_done_or_cancelled_or_reused_then_there_is_room(
    client: TestClient, services: Services, finish: Any
) -> None:
    limit(services, tenant_quota=1)
    first = ask(client, 1).json()["id"]
    assert ask(client, 2).status_code == 429
    finish(first)
    second = ask(client, 2).json()["id"]
    assert ask(client, 3).status_code == 429
    client.delete(f"/renders/{second}")
    assert ask(client, 3).status_code == 202


def test_given_a_window_when_more_is_asked_then_it_is_accepted_but_waits_in_the_ledger(
    client: TestClient, rival: TestClient, services: Services, broker: FakeBroker
) -> None:
    limit(services, tenant_max_queued=2)

    answers = [ask(client, number) for number in range(4)]

    assert [answer.status_code for answer in answers] == [202] * 4
    assert [answer.json()["state"] for answer in answers] == ["queued", "queued", "accepted", "accepted"]
    assert len(broker.messages) == 2
    assert len(stored_sources(services)) == 4
    held = [job for job in jobs(services) if job.state is State.ACCEPTED]
    assert {(job.published_at, job.publications) for job in held} == {(None, 0)}
    assert ask(rival, 1).json()["state"] == "queued"


def test_given_a_window_when_it_is_used_up_in_one_lane_then_the_other_lane_is_open(
    client: TestClient, services: Services
) -> None:
    limit(services, tenant_max_queued=1)

    states = [ask(client, 1, tiles=tiles).json()["state"] for tiles in ("true", "true", "false")]

    assert states == ["queued", "accepted", "queued"]


def test_given_a_render_over_the_quota_when_its_key_comes_again_later_then_it_is_a_new_try(
    client: TestClient, services: Services, finish: Any
) -> None:
    limit(services, tenant_quota=1)
    first = ask(client, 1).json()["id"]
    drawing = png(salt=b"other")
    assert post(client, drawing, headers={"idempotency-key": "k"}).status_code == 429
    finish(first)
    assert post(client, drawing, headers={"idempotency-key": "k"}).status_code == 202
