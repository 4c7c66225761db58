"""Status for operators, and the replay of dead renders."""

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


def kill_all_attempts(services: Services, job_id: str) -> None:
    """Record crashes until the job is dead."""
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
            explanation="Out of memory.",
            now=services.clock(),
        )


def test_given_a_dead_render_when_replayed_then_it_is_queued_and_its_dead_letter_is_deleted(
    client: TestClient, services: Services, broker: FakeBroker, dead_letters: FakeDeadLetters
) -> None:
    job_id = post(client).json()["id"]
    kill_all_attempts(services, job_id)
    answer = client.post(f"/renders/{job_id}/replay")

    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert [message["job"] for message in broker.messages] == [job_id, job_id]
    assert dead_letters.dropped == [job_id]
    assert client.get(f"/renders/{job_id}").json()["error"] is None


def test_given_an_open_or_foreign_render_when_replayed_then_it_is_rejected(
    client: TestClient, rival: TestClient
) -> None:
    job_id = post(client).json()["id"]
    answer = client.post(f"/renders/{job_id}/replay")

    assert (answer.status_code, answer.json()["code"]) == (409, "not-finished")
    assert "This render is queued" in answer.json()["detail"]
    assert rival.post(f"/renders/{job_id}/replay").status_code == 404


def test_given_a_worker_when_operations_are_read_then_workers_queues_and_jobs_are_listed(
    services: Services,
) -> None:
    worker = Worker("render1@host", 12, [34], 5, 60.0, CgroupMemory(1 << 20, 2 << 20, 4 << 20), recycled=3, crashed=1)
    app = create_app(services=replace(services, worker_stats=WorkerStatsCache(lambda: [worker])))
    with TestClient(app, headers={"authorization": "Bearer token-of-acme-0001"}) as client:
        post(client)
        status = client.get("/operations").json()

    assert status["jobs"]["queued"] == 1
    assert status["waiting"]["render"] == 0
    assert status["workers"] == [
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


def test_given_an_unavailable_broker_when_operations_are_read_then_jobs_are_still_listed(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(_queue: str) -> int:
        raise BrokerUnavailable("refused")

    monkeypatch.setattr(services.admission, "_count", count)
    status = client.get("/operations").json()
    assert (status["waiting"], status["workers"], status["jobs"]["dead"]) == ({}, [], 0)


def test_given_many_viewers_then_workers_are_inspected_once_in_a_few_seconds() -> None:
    calls: list[float] = []
    clock = Clock()

    def inspect() -> list[Worker]:
        calls.append(clock())
        if len(calls) == 2:
            raise ConnectionRefusedError("the broker is unavailable")
        return [Worker("render1@host", 1, [], 0, 1.0)]

    async def run(work: Callable[[], list[Worker]]) -> list[Worker]:
        return work()

    async def view() -> None:
        cache = WorkerStatsCache(inspect, clock)
        views = await asyncio.gather(*(cache.get(run) for _ in range(50)))
        assert [len(each) for each in views] == [1] * 50
        clock.now += TTL
        assert await cache.get(run) == []

    asyncio.run(view())
    assert len(calls) == 2
