"""The decisions about a job are pure functions of what the ledger holds."""

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
from workers.crash.causes import Cause

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


def test_a_job_that_nobody_runs_may_be_claimed() -> None:
    assert may_claim(JOB, NOW, owner_is_dead=False)


@pytest.mark.parametrize(("seconds", "gone", "may"), [(29, False, False), (30, False, True), (1, True, True)])
def test_a_running_job_may_be_claimed_when_its_lease_ran_out_or_its_holder_is_gone(
    seconds: float, gone: bool, may: bool
) -> None:
    assert may_claim(RUNNING, NOW + seconds, owner_is_dead=gone) is may


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
def test_a_job_is_dead_after_its_own_deaths_or_too_many_losses(deaths: int, losses: int, state: State) -> None:
    assert state_after_crash(crashes=deaths, worker_losses=losses, max_crashes=3) is state


@pytest.mark.parametrize(
    ("crashes", "queue", "large_lane", "hopeless", "goes_on_in"),
    [
        (1, RENDER, False, False, RENDER),
        (1, RENDER, True, False, LARGE),
        (2, TILES, True, False, LARGE),
        (1, LARGE, True, False, LARGE),  # planned to need it: an earlier job of that child may have left too little
        (2, LARGE, True, True, LARGE),
    ],
)
def test_a_job_out_of_memory_goes_on_in_the_large_lane_and_is_hopeless_after_a_second_death_there(
    deaths: int, queue: str, large_lane: bool, hopeless: bool, goes_on_in: str
) -> None:
    assert queue_after_out_of_memory(crashes=deaths, queue=queue, has_large_queue=large_lane) == (hopeless, goes_on_in)


def test_the_cause_that_moves_a_job_is_the_one_that_the_fence_proves() -> None:
    assert Cause.OUT_OF_MEMORY == OUT_OF_MEMORY


def overdue(job: Job, now: float, *, waiting: int, reached: float | None = None) -> bool:
    return is_stale(job, now, republish_after=60, queue_depth=waiting, consumed_until=reached)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_settled_job_is_never_overdue(state: State) -> None:
    assert not overdue(replace(JOB, state=state), NOW + 1e9, waiting=0)


def test_a_job_never_published_is_overdue_after_one_patience_however_long_the_queue() -> None:
    assert not overdue(JOB, NOW + 60, waiting=9000)
    assert overdue(JOB, NOW + 61, waiting=9000)


def test_a_job_whose_queue_is_empty_is_overdue_after_one_patience_however_often_it_was_published() -> None:
    job = replace(JOB, published_at=NOW, publications=7)

    assert not overdue(job, NOW + 60, waiting=0)
    assert overdue(job, NOW + 61, waiting=0)


def test_a_job_whose_message_may_still_be_in_a_long_queue_is_never_overdue() -> None:
    job = replace(JOB, published_at=NOW, publications=1)

    assert not overdue(job, NOW + 1e6, waiting=1)
    assert not overdue(job, NOW + 1e6, waiting=1, reached=NOW - 1)
    assert not overdue(job, NOW + 1e6, waiting=1, reached=NOW + 60)


def test_a_job_is_overdue_when_the_workers_are_at_messages_published_well_after_its_own() -> None:
    job = replace(JOB, published_at=NOW, publications=1)

    assert overdue(job, NOW + 100, waiting=9000, reached=NOW + 61)
    assert not overdue(replace(job, published_at=NOW + 50), NOW + 100, waiting=9000, reached=NOW + 61)


def test_a_running_job_is_overdue_once_when_its_lease_ran_out_and_then_only_like_one_that_waits() -> None:
    assert not overdue(RUNNING, NOW + 29, waiting=5)
    assert overdue(RUNNING, NOW + 30, waiting=5)
    published_since = replace(RUNNING, published_at=NOW + 31, publications=2)
    assert not overdue(published_since, NOW + 36, waiting=5)
    assert not overdue(published_since, NOW + 36, waiting=0)
    assert overdue(published_since, NOW + 92, waiting=5, reached=NOW + 92)
    assert overdue(published_since, NOW + 92, waiting=0)
