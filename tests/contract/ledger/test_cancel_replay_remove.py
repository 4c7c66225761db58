"""Cancelling, replaying and removing jobs, and their webhooks."""

from __future__ import annotations

import uuid

from tasks.jobs import (
    WAITING,
    Ledger,
    Outcome,
    State,
)
from tasks.jobs.idempotency import Completed, Reserved
from tests.contract.ledger.support import (
    HOST,
    LEASE,
    MAX_CRASHES,
    OWNER_B,
    T0,
    a_job,
    add_job,
    claim_job,
    crash,
    find,
    outcomes,
)


def test_given_a_running_job_when_it_is_cancelled_then_its_lease_cannot_be_renewed_and_its_attempt_has_ended(
    ledger: Ledger,
) -> None:
    job = add_job(ledger)
    claim_job(ledger, job)
    error = {"code": "cancelled", "detail": "Cancelled on request."}

    assert ledger.jobs.cancel(job.id, T0 + 1, error=error)

    assert not ledger.attempts.renew(job.id, 1, now=T0 + 2, lease=LEASE)
    assert not ledger.attempts.succeed(job.id, 1, now=T0 + 2, artifact="a" * 64)
    stored = find(ledger, job)
    assert (stored.state, stored.error, stored.finished_at) == (State.CANCELLED, error, T0 + 1)
    (attempt,) = ledger.attempts.history(job.id)
    assert (attempt.outcome, attempt.ended_at) == (Outcome.CANCELLED, T0 + 1)
    assert crash(ledger, job) is State.CANCELLED
    assert find(ledger, job).crashes == 0


def test_given_a_request_to_cancel_that_is_carried_out_late_then_a_job_that_was_replayed_since_continues(
    ledger: Ledger,
) -> None:
    job = add_job(ledger)
    ledger.jobs.mark_published(job.id, T0)
    assert ledger.jobs.cancel(job.id, T0 + 5, error={}, requested_at=T0 + 1)
    assert ledger.jobs.replay(job.id, T0 + 6)

    assert not ledger.jobs.cancel(job.id, T0 + 7, error={}, requested_at=T0 + 1)
    ledger.jobs.mark_published(job.id, T0 + 6)
    claim_job(ledger, job)
    assert not ledger.jobs.cancel(job.id, T0 + 7, error={}, requested_at=T0 + 1)

    assert find(ledger, job).state is State.RUNNING
    assert ledger.jobs.cancel(job.id, T0 + 9, error={}, requested_at=T0 + 8, explanation="It was terminated.")
    assert [attempt.explanation for attempt in ledger.attempts.history(job.id)] == ["It was terminated."]


def test_given_a_job_that_runs_before_it_counts_as_published_then_a_late_request_cancels_it(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job)
    assert ledger.attempts.renew(job.id, 1, now=T0 + 5, lease=LEASE)

    assert not ledger.jobs.cancel(job.id, T0 + 6, error={}, states=WAITING, requested_at=T0 + 4)
    assert ledger.jobs.cancel(job.id, T0 + 6, error={}, requested_at=T0 + 4)


def test_a_finished_job_cannot_be_cancelled(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job)
    ledger.attempts.succeed(job.id, 1, now=T0, artifact="a" * 64)

    assert not ledger.jobs.cancel(job.id, T0, error={})
    assert not ledger.jobs.cancel(str(uuid.uuid4()), T0, error={})
    assert outcomes(ledger, job) == [Outcome.SUCCEEDED]


def test_a_waiting_job_is_marked_dead_and_a_running_one_is_not(ledger: Ledger) -> None:
    waiting, running = add_job(ledger), add_job(ledger)
    claim_job(ledger, running)
    error = {"code": "delivery-limit", "detail": "The broker gave up."}

    assert ledger.jobs.mark_dead(waiting.id, T0, error=error)
    assert not ledger.jobs.mark_dead(running.id, T0, error=error)
    assert (find(ledger, waiting).state, find(ledger, waiting).error) == (State.DEAD, error)


def test_given_a_dead_job_when_it_is_replayed_then_its_crashes_are_reset_and_its_attempts_kept(
    ledger: Ledger,
) -> None:
    job = add_job(ledger)
    for number in range(MAX_CRASHES):
        claim_job(ledger, job, f"{HOST}:{100 + number}:1")
        crash(ledger, job, 100 + number)

    assert ledger.jobs.replay(job.id, T0 + 50)

    stored = find(ledger, job)
    assert (stored.state, stored.crashes, stored.error, stored.finished_at) == (State.ACCEPTED, 0, None, None)
    assert claim_job(ledger, job, OWNER_B, T0 + 51).attempt == MAX_CRASHES + 1
    assert crash(ledger, job, 200, job_at_fault=True) is State.QUEUED


def test_a_succeeded_or_an_open_job_is_not_replayed(ledger: Ledger) -> None:
    done, waiting = add_job(ledger), add_job(ledger)
    claim_job(ledger, done)
    ledger.attempts.succeed(done.id, 1, now=T0, artifact="a" * 64)

    assert not ledger.jobs.replay(done.id, T0)
    assert not ledger.jobs.replay(waiting.id, T0)


def test_a_finished_job_is_removed_with_its_attempts_and_an_open_one_is_kept_with_its_idempotency_key(
    ledger: Ledger,
) -> None:
    ledger.idempotency_keys.reserve("acme", "key-1", T0)
    job = add_job(ledger)
    ledger.idempotency_keys.complete("acme", "key-1", job=job.id, fingerprint="f" * 64)
    claim_job(ledger, job)

    assert not ledger.jobs.remove(job.id)
    assert ledger.idempotency_keys.reserve("acme", "key-1", T0) == Completed(job.id, "f" * 64)

    ledger.attempts.fail(job.id, 1, now=T0, error={"code": "x", "detail": "x"})
    assert ledger.jobs.remove(job.id)
    assert ledger.jobs.find(job.id) is None
    assert ledger.attempts.history(job.id) == []
    assert ledger.idempotency_keys.reserve("acme", "key-1", T0) == Reserved()
    assert not ledger.jobs.remove(job.id)


def test_artifacts_are_in_use_by_their_own_tenant_and_sources_by_any_job(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job)
    ledger.attempts.succeed(job.id, 1, now=T0, artifact="a" * 64)

    assert ledger.jobs.is_artifact_in_use("acme", "a" * 64)
    assert not ledger.jobs.is_artifact_in_use("rival", "a" * 64)
    assert ledger.jobs.is_source_in_use(job.source)
    assert not ledger.jobs.is_source_in_use("sources/acme/another")


def test_given_jobs_with_a_webhook_then_it_is_pending_until_published_and_again_after_a_replay(
    ledger: Ledger,
) -> None:
    job = add_job(ledger, webhook="https://portal.example.com/", webhook_pending=True)
    silent = add_job(ledger)
    assert ledger.jobs.pending_webhooks() == []

    for each in (job, silent):
        assert ledger.attempts.fail(each.id, claim_job(ledger, each).attempt, now=T0 + 1, error={})
    assert [job.id for job in ledger.jobs.pending_webhooks()] == [job.id]
    ledger.jobs.mark_webhook_published(job.id)
    assert ledger.jobs.pending_webhooks() == []

    for each in (job, silent):
        assert ledger.jobs.replay(each.id, T0 + 2)
    ledger.jobs.mark_webhook_published(job.id)  # a late confirmation of the earlier webhook
    for each in (job, silent):
        assert ledger.attempts.succeed(each.id, claim_job(ledger, each, now=T0 + 3).attempt, now=T0 + 4, artifact="a")
    assert [job.id for job in ledger.jobs.pending_webhooks()] == [job.id]


def test_given_an_unknown_job_that_is_claimed_then_its_webhook_is_stored(ledger: Ledger) -> None:
    job = claim_job(ledger, a_job(webhook="https://portal.example.com/", webhook_pending=True))

    assert (find(ledger, job).webhook, find(ledger, job).webhook_pending) == ("https://portal.example.com/", True)
