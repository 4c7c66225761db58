"""Administration: leaks, ticket keys and heartbeats."""

from __future__ import annotations

import pytest

from tasks.jobs import Claimed
from tests.unit.web.support import TestClient, png, post
from web.dependencies import Services

LEAKED = 1 << 20  # bytes that each job leaves behind


def render_and_leak(client: TestClient, services: Services, number: int) -> None:
    """Finish a job that leaves one MiB behind."""
    job = services.ledger.jobs.find(post(client, png(salt=bytes([number]))).json()["id"])
    assert job is not None
    claim = services.ledger.attempts.claim(job, lease_owner="host:1:x", now=1000.0 + number, lease=30)
    assert isinstance(claim, Claimed)
    facts = {"engine": "3", "pixel_bytes": LEAKED, "descriptor_growth": 0}
    services.ledger.attempts.succeed(job.id, 1, now=1001.0 + number, artifact="a" * 64, facts=facts)


def test_given_leaking_renders_when_leaks_are_read_then_the_leaked_bytes_are_reported(
    client: TestClient, services: Services
) -> None:
    assert client.get("/operations/leaks").json() == {"findings": []}
    for number in range(5):
        render_and_leak(client, services, number)

    (finding,) = client.get("/operations/leaks").json()["findings"]

    assert (finding["format"], finding["engine"], finding["confidence"], finding["resource"]) == (
        "png",
        "3",
        "suspected",
        "pixels",
    )
    assert finding["leaked_bytes"] == LEAKED


def test_given_a_rotation_when_tickets_are_read_then_its_generation_and_time_are_reported(
    client: TestClient, services: Services
) -> None:
    before = client.get("/operations/tickets").json()
    token = services.ledger.rotations.claim("host", now=services.clock(), lease=60, min_token=0)
    during = client.get("/operations/tickets").json()
    assert services.ledger.rotations.finish(token, generation=7, rotated_at=1234.0, result="rotated")
    after = client.get("/operations/tickets").json()

    assert (before["generation"], before["rotated_at"], before["rotating"]) == (0, None, False)
    assert during["rotating"]
    assert after == {
        "generation": 7,
        "rotated_at": 1234.0,
        "interval": services.settings.tickets_interval,
        "result": "rotated",
        "rotating": False,
    }


def test_given_no_redis_when_heartbeats_are_read_then_503_names_the_setting(client: TestClient) -> None:
    answer = client.get("/operations/heartbeats")

    assert (answer.status_code, answer.json()["code"]) == (503, "readings-not-configured")
    assert "BULKHEAD_REDIS_URL" in answer.json()["detail"]


@pytest.mark.parametrize("part", ["leaks", "tickets", "heartbeats"])
def test_given_an_unknown_token_when_operations_are_read_then_401(client: TestClient, part: str) -> None:
    assert client.get(f"/operations/{part}", headers={"authorization": "Bearer nobody"}).status_code == 401
