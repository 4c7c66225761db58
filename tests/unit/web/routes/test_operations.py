"""The operator's view, and another try for a dead render."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from tasks.jobs import Claimed, State
from tasks.messaging.connections import BrokerUnavailable
from tasks.messaging.inspect_workers import CgroupMemory, Worker
from tests.unit.web.support import Clock, FakeBroker, FakeDeadLetters, TestClient, post
from web.app import create_app
from web.dependencies import Services
from web.worker_stats_cache import TTL, WorkerStatsCache


def die(services: Services, job_id: str) -> None:
    """Let every attempt die."""
    while True:
        job = services.ledger.jobs.find(job_id)
        assert job is not None
        if job.state is State.DEAD:
            return
        claim = services.ledger.attempts.claim(job, lease_owner="host:1:x", now=services.clock(), lease=30)
        assert isinstance(claim, Claimed)
        services.ledger.attempts.record_crash(
            job_id,
            host="host",
            pid=1,
            cause="out-of-memory",
            job_at_fault=True,
            explanation="It took too much.",
            now=services.clock(),
        )


def test_given_a_dead_render_when_replayed_then_it_is_queued_again_and_its_letter_is_gone(
    client: TestClient, services: Services, broker: FakeBroker, letters: FakeDeadLetters
) -> None:
    job_id = post(client).json()["id"]
    die(services, job_id)
    answer = client.post(f"/renders/{job_id}/replay")

    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert [message["job"] for message in broker.messages] == [job_id, job_id]
    assert letters.dropped == [job_id]
    assert client.get(f"/renders/{job_id}").json()["error"] is None


def test_given_a_render_that_lives_or_is_anothers_when_replayed_then_it_is_refused(
    client: TestClient, rival: TestClient
) -> None:
    job_id = post(client).json()["id"]
    answer = client.post(f"/renders/{job_id}/replay")

    assert (answer.status_code, answer.json()["code"]) == (409, "not-finished")
    assert "This render is queued" in answer.json()["detail"]
    assert rival.post(f"/renders/{job_id}/replay").status_code == 404


def test_given_workers_that_answer_when_operations_are_read_then_they_are_there_with_lanes_and_jobs(
    services: Services,
) -> None:
    worker = Worker("render1@host", 12, [34], 5, 60.0, CgroupMemory(1 << 20, 2 << 20, 4 << 20), recycled=3, crashed=1)
    app = create_app(services=replace(services, worker_stats=WorkerStatsCache(lambda: [worker])))
    with TestClient(app, headers={"authorization": "Bearer token-of-acme-0001"}) as client:
        post(client)
        found = client.get("/operations").json()

    assert found["jobs"]["queued"] == 1
    assert found["waiting"]["render"] == 0
    assert found["workers"] == [
        {
            "name": "render1@host",
            "pid": 12,
            "children": [34],
            "completed_jobs": 5,
            "uptime": 60.0,
            "memory": {"current": 1 << 20, "peak": 2 << 20, "limit": 4 << 20},
            "recycled": 3,
            "crashed": 1,
        }
    ]
    assert client.get("/operations", headers={"authorization": "Bearer nobody-knows-it"}).status_code == 401


def test_given_a_broker_that_is_away_when_operations_are_read_then_the_ledger_still_speaks(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_queue: str) -> int:
        raise BrokerUnavailable("refused")

    monkeypatch.setattr(services.admission, "_count", away)
    found = client.get("/operations").json()
    assert (found["waiting"], found["workers"], found["jobs"]["dead"]) == ({}, [], 0)


def test_given_many_who_look_when_workers_are_called_then_once_every_few_seconds() -> None:
    calls: list[float] = []
    clock = Clock()

    def call() -> list[Worker]:
        calls.append(clock())
        if len(calls) == 2:
            raise ConnectionRefusedError("the broker is away")
        return [Worker("render1@host", 1, [], 0, 1.0)]

    async def run(work: Callable[[], list[Worker]]) -> list[Worker]:
        return work()

    async def look() -> None:
        roll = WorkerStatsCache(call, clock)
        found = await asyncio.gather(*(roll.get(run) for _ in range(50)))
        assert [len(each) for each in found] == [1] * 50
        clock.now += TTL
        assert await roll.get(run) == []

    asyncio.run(look())
    assert len(calls) == 2
