"""Queues: stale jobs, the large queue, and fairness between tenants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.jobs import (
    Job,
    Ledger,
    Rerouted,
    State,
)
from tasks.jobs.attempts import Attempts
from tasks.messaging.topology import LARGE, RENDER, TILES
from tests.contract.ledger.support import (
    HOST,
    LEASE,
    OWNER_A,
    T0,
    a_job,
    add_job,
    claim_job,
    crash,
    find,
)


def test_jobs_whose_message_is_gone_are_stale_and_others_are_not(ledger: Ledger) -> None:
    never_published = add_job(ledger)
    published = add_job(ledger)
    ledger.jobs.mark_published(published.id, T0)
    expired, alive, done = add_job(ledger), add_job(ledger), add_job(ledger)
    claim_job(ledger, expired, now=T0)
    claim_job(ledger, alive, now=T0 + 50)
    claim_job(ledger, done)
    ledger.attempts.succeed(done.id, 1, now=T0, artifact="a" * 64)

    def stale(now: float, queue_depth: int) -> set[str]:
        return {job.id for job in ledger.jobs.stale(now, republish_after=60, queue_depth=queue_depth)}

    assert stale(T0 + 59, 0) == {expired.id}
    assert stale(T0 + 61, 5) == {expired.id, never_published.id}
    assert stale(T0 + 61, 0) == {expired.id, never_published.id, published.id}


def test_given_a_running_job_that_was_published_again_then_it_is_not_stale_at_every_sweep(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job, now=T0)
    ledger.jobs.mark_published(job.id, T0 + LEASE + 1)

    assert ledger.jobs.stale(T0 + LEASE + 200, republish_after=60, queue_depth=5000) == []
    assert [job.id for job in ledger.jobs.stale(T0 + LEASE + 200, republish_after=60, queue_depth=0)] == [job.id]


def test_given_a_long_backlog_then_only_jobs_that_the_workers_skipped_are_stale(ledger: Ledger) -> None:
    def published(at: float, publications: int = 1) -> Job:
        job = a_job(state=State.QUEUED, published_at=T0 + at, publications=publications, updated_at=T0)
        ledger.jobs.accept(job)
        return job

    skipped, next_in_line, taken = published(0), published(50), published(100)
    taken_of_an_older_message = published(1000, publications=2)
    for number in range(20):
        published(200 + number)
    claim_job(ledger, taken, now=T0 + 300)
    claim_job(ledger, taken_of_an_older_message, now=T0 + 300)

    def stale(now: float) -> list[str]:
        return [job.id for job in ledger.jobs.stale(T0 + now, republish_after=60, queue_depth=21, limit=5)]

    assert stale(300) == [skipped.id]
    claim_job(ledger, next_in_line, now=T0 + 301)
    assert stale(302) == [skipped.id]


@pytest.fixture
def with_large_queue(ledger: Ledger) -> Ledger:
    return replace(ledger, attempts=Attempts(ledger.database, 3, has_large_queue=True))


def run_out_of_memory(ledger: Ledger, job: Job, pid: int = 100, now: float = T0 + 1) -> State | None:
    explanation = "The kernel killed it."
    return ledger.attempts.record_crash(
        job.id, host=HOST, pid=pid, cause="out-of-memory", job_at_fault=True, explanation=explanation, now=now
    )


def test_given_a_large_queue_when_a_job_runs_out_of_memory_then_it_is_published_again_there(
    with_large_queue: Ledger,
) -> None:
    ledger = with_large_queue
    job = add_job(ledger, state=State.QUEUED, published_at=T0, publications=1)
    claim_job(ledger, job)

    assert run_out_of_memory(ledger, job) is State.QUEUED

    rerouted = find(ledger, job)
    assert (rerouted.queue, rerouted.crashes, rerouted.published_at) == (LARGE, 1, None)
    [attempt] = ledger.attempts.history(job.id)
    assert attempt.explanation == "The kernel killed it. It continues in render.large, with a larger memory limit."
    assert ledger.jobs.stale(T0 + 62, republish_after=60, queue_depth=9, queue=RENDER) == []
    assert [job.id for job in ledger.jobs.stale(T0 + 62, republish_after=60, queue_depth=9, queue=LARGE)] == [job.id]


def test_given_a_rerouted_job_then_its_old_message_is_dropped_and_the_new_one_is_claimed(
    with_large_queue: Ledger,
) -> None:
    ledger = with_large_queue
    job = add_job(ledger)
    claim_job(ledger, job)
    run_out_of_memory(ledger, job)

    old = ledger.attempts.claim(job, lease_owner=OWNER_A, now=T0 + 2, lease=LEASE)

    assert old == Rerouted(find(ledger, job))
    assert claim_job(ledger, replace(job, queue=LARGE), now=T0 + 3).attempt == 2


def test_given_a_job_out_of_memory_under_both_limits_then_it_is_dead_and_a_replay_enters_the_large_queue(
    with_large_queue: Ledger,
) -> None:
    ledger = with_large_queue
    job = add_job(ledger)
    claim_job(ledger, job)
    run_out_of_memory(ledger, job)
    claim_job(ledger, replace(job, queue=LARGE), now=T0 + 2)

    assert run_out_of_memory(ledger, job, now=T0 + 3) is State.DEAD

    dead = find(ledger, job)
    assert (dead.crashes, dead.queue) == (2, LARGE)
    assert dead.error == {"code": "out-of-memory", "detail": "The kernel killed it. Attempt 2 was the last one."}
    assert ledger.jobs.replay(job.id, T0 + 4)
    assert (find(ledger, job).queue, find(ledger, job).crashes) == (LARGE, 0)


def test_given_no_large_queue_when_a_job_runs_out_of_memory_then_it_stays_in_its_queue(ledger: Ledger) -> None:
    job = add_job(ledger)
    states = []
    for number in range(3):
        claim_job(ledger, job, now=T0 + number)
        states.append(run_out_of_memory(ledger, job, now=T0 + number))

    assert states == [State.QUEUED, State.QUEUED, State.DEAD]
    assert find(ledger, job).queue == RENDER


def test_given_a_crash_then_the_job_stays_in_its_queue(with_large_queue: Ledger) -> None:
    job = add_job(with_large_queue, queue=TILES, published_at=T0)
    claim_job(with_large_queue, job)
    crash(with_large_queue, job)

    assert (find(with_large_queue, job).queue, find(with_large_queue, job).published_at) == (TILES, T0)


def test_given_a_job_that_is_requeued_to_another_queue_then_it_waits_there(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job)

    assert ledger.attempts.requeue(job.id, 1, now=T0 + 1, cause="rerouted", explanation="Too large.", queue=LARGE)

    assert (find(ledger, job).queue, find(ledger, job).state) == (LARGE, State.QUEUED)


def test_given_waiting_jobs_of_several_tenants_then_the_batch_is_fair_and_limited_by_tenant(ledger: Ledger) -> None:
    for number in range(4):
        add_job(ledger, filename=f"acme {number}", created_at=T0 + number)
    for number in range(2):
        add_job(ledger, tenant="rival", filename=f"rival {number}", created_at=T0 + 10 + number)
    add_job(ledger, tenant="third", filename="third 0", created_at=T0 + 20)
    add_job(ledger, tenant="third", state=State.QUEUED, published_at=T0, publications=1)
    add_job(ledger, queue=TILES, filename="another queue")

    def batch(max_queued: int, **more: Any) -> list[str]:
        return [job.filename for job in ledger.jobs.next_fair_batch(RENDER, max_queued=max_queued, **more)]

    assert batch(1) == ["acme 0", "rival 0"]
    assert batch(2) == ["acme 0", "rival 0", "third 0", "acme 1", "rival 1"]
    assert batch(9) == ["acme 0", "rival 0", "third 0", "acme 1", "rival 1", "acme 2", "acme 3"]
    assert batch(9, limit=2) == ["acme 0", "rival 0"]
    assert [job.filename for job in ledger.jobs.next_fair_batch(TILES, max_queued=1)] == ["another queue"]


def test_given_fair_queueing_then_only_jobs_that_were_published_before_are_stale(ledger: Ledger) -> None:
    add_job(ledger)
    lost = add_job(ledger, state=State.QUEUED, published_at=T0, publications=1)

    assert [job.id for job in ledger.jobs.stale(T0 + 99, republish_after=60, queue_depth=0, fair=True)] == [lost.id]
    assert len(ledger.jobs.stale(T0 + 99, republish_after=60, queue_depth=0)) == 2


def test_waiting_and_running_jobs_are_counted_by_tenant(ledger: Ledger) -> None:
    running, _waiting, _tiles = add_job(ledger), add_job(ledger), add_job(ledger, queue=TILES, state=State.QUEUED)
    done = add_job(ledger)
    add_job(ledger, tenant="rival")
    claim_job(ledger, running)
    claim_job(ledger, done)
    ledger.attempts.succeed(done.id, 1, now=T0, artifact="a" * 64)

    assert ledger.jobs.count_open("acme") == 3
    assert (ledger.jobs.count_waiting("acme", RENDER), ledger.jobs.count_waiting("acme", TILES)) == (1, 1)
