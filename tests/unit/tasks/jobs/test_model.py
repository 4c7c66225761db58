"""The decisions about a job."""

from dataclasses import replace

import pytest

from tasks.jobs import FINAL, OPEN, Job, State
from tasks.jobs.model import (
    MAX_WORKER_LOSSES,
    OUT_OF_MEMORY,
    is_stale,
    may_claim,
    queue_after_out_of_memory,
    state_after_crash,
)
from tasks.messaging.topology import LARGE, RENDER, TILES
from workers.sandbox.causes import Cause

NOW = 1_000_000.0

JOB = Job(
    id="0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10",
    tenant="acme",
    state=State.QUEUED,
    source="sources/acme/x",
    filename="x.dxf",
    options={},
    created_at=NOW,
    updated_at=NOW,
)
RUNNING = replace(JOB, state=State.RUNNING, attempt=1, lease_owner="host:1:1", lease_expires_at=NOW + 30)


def test_every_state_is_either_open_or_final() -> None:
    assert frozenset(State) == OPEN | FINAL
    assert not OPEN & FINAL


def test_a_waiting_job_may_be_claimed() -> None:
    assert may_claim(JOB, NOW, owner_is_dead=False)


@pytest.mark.parametrize(
    ("seconds", "owner_is_dead", "expected"), [(29, False, False), (30, False, True), (1, True, True)]
)
def test_a_running_job_may_be_claimed_once_its_lease_expired_or_its_owner_died(
    seconds: float, owner_is_dead: bool, expected: bool
) -> None:
    assert may_claim(RUNNING, NOW + seconds, owner_is_dead=owner_is_dead) is expected


@pytest.mark.parametrize(
    ("crashes", "worker_losses", "state"),
    [
        (1, 0, State.QUEUED),
        (2, MAX_WORKER_LOSSES - 1, State.QUEUED),
        (3, 0, State.DEAD),
        (4, 0, State.DEAD),
        (0, MAX_WORKER_LOSSES, State.DEAD),
    ],
)
def test_a_job_is_dead_after_too_many_crashes_or_worker_losses(crashes: int, worker_losses: int, state: State) -> None:
    assert state_after_crash(crashes=crashes, worker_losses=worker_losses, max_crashes=3) is state


@pytest.mark.parametrize(
    ("crashes", "queue", "has_large_queue", "is_dead", "next_queue"),
    [
        (1, RENDER, False, False, RENDER),
        (1, RENDER, True, False, LARGE),
        (2, TILES, True, False, LARGE),
        (
            1,
            LARGE,
            True,
            False,
            LARGE,
        ),  # routed there by its plan: an earlier job of that child may have left too little memory
        (2, LARGE, True, True, LARGE),
    ],
)
def test_a_job_out_of_memory_continues_in_the_large_queue_and_is_dead_after_two_crashes_there(
    crashes: int, queue: str, has_large_queue: bool, is_dead: bool, next_queue: str
) -> None:
    assert queue_after_out_of_memory(crashes=crashes, queue=queue, has_large_queue=has_large_queue) == (
        is_dead,
        next_queue,
    )


def test_the_cause_that_reroutes_a_job_is_the_workers_cause_for_out_of_memory() -> None:
    assert Cause.OUT_OF_MEMORY == OUT_OF_MEMORY


def stale(job: Job, now: float, *, queue_depth: int, consumed_until: float | None = None) -> bool:
    return is_stale(job, now, republish_after=60, queue_depth=queue_depth, consumed_until=consumed_until)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_finished_job_is_never_stale(state: State) -> None:
    assert not stale(replace(JOB, state=state), NOW + 1e9, queue_depth=0)


def test_a_job_that_was_never_published_is_stale_after_republish_after_even_if_the_queue_is_long() -> None:
    assert not stale(JOB, NOW + 60, queue_depth=9000)
    assert stale(JOB, NOW + 61, queue_depth=9000)


def test_a_job_whose_queue_is_empty_is_stale_after_republish_after_however_often_it_was_published() -> None:
    job = replace(JOB, published_at=NOW, publications=7)

    assert not stale(job, NOW + 60, queue_depth=0)
    assert stale(job, NOW + 61, queue_depth=0)


def test_a_job_whose_message_may_still_be_in_a_long_queue_is_never_stale() -> None:
    job = replace(JOB, published_at=NOW, publications=1)

    assert not stale(job, NOW + 1e6, queue_depth=1)
    assert not stale(job, NOW + 1e6, queue_depth=1, consumed_until=NOW - 1)
    assert not stale(job, NOW + 1e6, queue_depth=1, consumed_until=NOW + 60)


def test_a_job_is_stale_when_the_workers_take_messages_published_well_after_its_own() -> None:
    job = replace(JOB, published_at=NOW, publications=1)

    assert stale(job, NOW + 100, queue_depth=9000, consumed_until=NOW + 61)
    assert not stale(replace(job, published_at=NOW + 50), NOW + 100, queue_depth=9000, consumed_until=NOW + 61)


def test_a_running_job_is_stale_once_after_its_lease_expired_and_then_only_like_a_waiting_job() -> None:
    assert not stale(RUNNING, NOW + 29, queue_depth=5)
    assert stale(RUNNING, NOW + 30, queue_depth=5)
    published_since = replace(RUNNING, published_at=NOW + 31, publications=2)
    assert not stale(published_since, NOW + 36, queue_depth=5)
    assert not stale(published_since, NOW + 36, queue_depth=0)
    assert stale(published_since, NOW + 92, queue_depth=5, consumed_until=NOW + 92)
    assert stale(published_since, NOW + 92, queue_depth=0)
