"""Leases and results: only the current attempt can change a job."""

from __future__ import annotations

from tasks.jobs import (
    Finished,
    Ledger,
    Outcome,
    State,
)
from tests.contract.ledger.support import (
    LEASE,
    OWNER_A,
    OWNER_B,
    T0,
    add_job,
    claim_job,
    find,
)


def test_a_lease_can_be_renewed_repeatedly_at_the_same_moment(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job)

    renewals = [ledger.attempts.renew(job.id, 1, now=T0 + 10, lease=LEASE) for _ in range(3)]

    assert renewals == [True, True, True]
    assert find(ledger, job).lease_expires_at == T0 + 10 + LEASE


def test_given_a_newer_attempt_then_the_older_one_can_change_nothing(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job, OWNER_A)
    newer = claim_job(ledger, job, OWNER_B, T0 + LEASE)
    now = T0 + LEASE + 1

    assert not ledger.attempts.renew(job.id, 1, now=now, lease=LEASE)
    assert not ledger.attempts.record_plan(job.id, 1, digest="0" * 64, size=1, plan={})
    assert not ledger.attempts.succeed(job.id, 1, now=now, artifact="f" * 64)
    assert not ledger.attempts.fail(job.id, 1, now=now, error={"code": "x", "detail": "x"})
    assert not ledger.attempts.requeue(job.id, 1, now=now, cause="store-unavailable", explanation="x")
    assert find(ledger, job) == newer


def test_given_a_job_finished_by_a_newer_attempt_then_the_older_one_cannot_change_the_result(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job, OWNER_A)
    claim_job(ledger, job, OWNER_B, T0 + LEASE)
    assert ledger.attempts.succeed(job.id, 2, now=T0 + 40, artifact="a" * 64)

    assert not ledger.attempts.succeed(job.id, 1, now=T0 + 41, artifact="f" * 64)
    assert not ledger.attempts.fail(job.id, 1, now=T0 + 41, error={"code": "x", "detail": "x"})
    assert (find(ledger, job).state, find(ledger, job).artifact) == (State.SUCCEEDED, "a" * 64)


def test_success_that_an_attempt_reports_twice_is_recorded_once(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job)
    facts = {"seconds": 1.25, "peak_bytes": 2**33}

    assert ledger.attempts.succeed(job.id, 1, now=T0 + 2, artifact="a" * 64, facts=facts)
    assert ledger.attempts.succeed(job.id, 1, now=T0 + 3, artifact="a" * 64, facts=facts)

    stored = find(ledger, job)
    assert (stored.state, stored.artifact, stored.finished_at) == (State.SUCCEEDED, "a" * 64, T0 + 2)
    assert (stored.lease_owner, stored.lease_expires_at) == (None, None)
    (attempt,) = ledger.attempts.history(job.id)
    assert (attempt.outcome, attempt.ended_at, attempt.facts) == (Outcome.SUCCEEDED, T0 + 2, facts)


def test_a_failed_job_is_finished_with_its_error(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job)
    error = {"code": "truncated", "detail": "The drawing ends in the middle. Send the whole file."}

    assert ledger.attempts.fail(job.id, 1, now=T0 + 2, error=error)
    assert ledger.attempts.fail(job.id, 1, now=T0 + 3, error=error)

    assert (find(ledger, job).state, find(ledger, job).error) == (State.FAILED, error)
    assert isinstance(ledger.attempts.claim(job, lease_owner=OWNER_B, now=T0 + 4, lease=LEASE), Finished)


def test_a_recorded_plan_keeps_its_exact_numbers(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job)
    plan = {"format": "dxf", "peak_bytes": 2**31, "seconds": 0.1, "width": None}

    assert ledger.attempts.record_plan(job.id, 1, digest="d" * 64, size=2**40, plan=plan)

    stored = find(ledger, job)
    assert (stored.digest, stored.size, stored.plan) == ("d" * 64, 2**40, plan)


def test_a_requeued_job_waits_without_a_crash_and_is_stale_at_once(ledger: Ledger) -> None:
    job = add_job(ledger)
    ledger.jobs.mark_published(job.id, T0)
    claim_job(ledger, job)

    assert ledger.attempts.requeue(job.id, 1, now=T0 + 70, cause="store-unavailable", explanation="The store failed.")

    stored = find(ledger, job)
    assert (stored.state, stored.crashes, stored.worker_losses, stored.lease_owner) == (State.QUEUED, 0, 0, None)
    (attempt,) = ledger.attempts.history(job.id)
    assert (attempt.outcome, attempt.cause, attempt.explanation) == (
        Outcome.REQUEUED,
        "store-unavailable",
        "The store failed.",
    )
    assert [job.id for job in ledger.jobs.stale(T0 + 71, republish_after=60, queue_depth=1000)] == [job.id]
