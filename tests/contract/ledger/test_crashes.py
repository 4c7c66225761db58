"""Crashes: each is counted once, and a job that crashes too often is dead."""

from __future__ import annotations

from tasks.jobs import (
    Finished,
    Ledger,
    Outcome,
    State,
)
from tasks.jobs.model import MAX_WORKER_LOSSES
from tests.contract.ledger.support import (
    HOST,
    LEASE,
    MAX_CRASHES,
    OWNER_A,
    OWNER_B,
    T0,
    a_job,
    add_job,
    claim_job,
    crash,
    find,
    in_parallel,
)


def test_given_crashes_by_its_own_fault_then_the_job_is_dead_at_the_limit(ledger: Ledger) -> None:
    job = add_job(ledger)

    states = []
    for number in range(MAX_CRASHES):
        claim_job(ledger, job, f"{HOST}:{100 + number}:1")
        states.append(crash(ledger, job, 100 + number))

    assert states == [State.QUEUED, State.QUEUED, State.DEAD]
    stored = find(ledger, job)
    assert stored.error == {
        "code": "native-crash",
        "detail": "The process crashed in native code with SIGSEGV. Attempt 3 was the last one.",
    }
    assert (stored.crashes, stored.finished_at) == (MAX_CRASHES, T0 + 1)
    assert isinstance(ledger.attempts.claim(job, lease_owner=OWNER_B, now=T0 + 5, lease=LEASE), Finished)


def test_a_crash_that_is_reported_several_times_is_counted_once(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job)

    states = in_parallel(4, lambda _number: crash(ledger, job))

    assert states == [State.QUEUED] * 4
    assert find(ledger, job).crashes == 1


def test_given_workers_killed_from_outside_then_the_job_is_dead_at_the_limit_of_worker_losses(ledger: Ledger) -> None:
    job = add_job(ledger)

    states = []
    for number in range(MAX_WORKER_LOSSES):
        claim_job(ledger, job, f"{HOST}:{100 + number}:1")
        states.append(crash(ledger, job, 100 + number, job_at_fault=False))

    assert states == [State.QUEUED] * (MAX_WORKER_LOSSES - 1) + [State.DEAD]
    assert find(ledger, job).crashes == 0


def test_given_many_requeued_attempts_then_one_worker_loss_does_not_make_the_job_dead(ledger: Ledger) -> None:
    job = add_job(ledger)
    for number in range(1, MAX_WORKER_LOSSES + 2):
        claim_job(ledger, job)
        ledger.attempts.requeue(job.id, number, now=T0, cause="store-unavailable", explanation="The store failed.")
    claim_job(ledger, job)

    assert crash(ledger, job, job_at_fault=False) is State.QUEUED


def test_given_workers_that_vanish_then_the_job_is_dead_at_the_limit_of_worker_losses(ledger: Ledger) -> None:
    job = add_job(ledger)

    for number in range(MAX_WORKER_LOSSES):
        claim_job(ledger, job, f"{HOST}:{number}:1", is_dead=lambda _owner: True)
    claim = ledger.attempts.claim(job, lease_owner=OWNER_B, now=T0, lease=LEASE, is_dead=lambda _owner: True)

    assert isinstance(claim, Finished)
    assert claim.job.state is State.DEAD
    assert claim.job.error == {
        "code": "worker-lost",
        "detail": "Its worker ended without a crash report. Attempt 20 was the last one.",
    }


def test_given_a_late_crash_report_then_it_explains_the_attempt_once_and_the_newer_attempt_continues(
    ledger: Ledger,
) -> None:
    job = add_job(ledger)
    claim_job(ledger, job, OWNER_A)
    claim_job(ledger, job, OWNER_B, T0 + LEASE)

    states = [crash(ledger, job, 100), crash(ledger, job, 100)]

    assert states == [State.RUNNING, State.RUNNING]
    stored = find(ledger, job)
    assert (stored.crashes, stored.worker_losses, stored.attempt, stored.lease_owner) == (1, 0, 2, OWNER_B)
    first, second = ledger.attempts.history(job.id)
    assert (first.cause, first.explanation) == ("native-crash", "The process crashed in native code with SIGSEGV.")
    assert second.outcome is Outcome.RUNNING


def test_given_a_late_crash_report_that_reaches_the_limit_then_a_waiting_job_is_dead(ledger: Ledger) -> None:
    job = add_job(ledger)
    for number in range(MAX_CRASHES):
        claim_job(ledger, job, f"{HOST}:{100 + number}:1", T0 + number * LEASE)
    ledger.attempts.requeue(
        job.id, MAX_CRASHES, now=T0 + 100, cause="store-unavailable", explanation="The store failed."
    )
    claim_job(ledger, job, f"{HOST}:900:1", T0 + 100)
    crash(ledger, job, 900, job_at_fault=True)

    assert [crash(ledger, job, 100), crash(ledger, job, 101)] == [State.QUEUED, State.DEAD]
    assert find(ledger, job).error == {"code": "native-crash", "detail": LATE_CRASH}


LATE_CRASH = (
    "The process crashed in native code with SIGSEGV. The crash report arrived after a later attempt had started; the "
    "job has used all its attempts."
)


def test_given_a_late_crash_report_that_reaches_the_limit_then_the_running_attempt_no_longer_counts(
    ledger: Ledger,
) -> None:
    job = add_job(ledger)
    for number in range(1, MAX_CRASHES):
        claim_job(ledger, job, f"{HOST}:{100 + number}:1")
        crash(ledger, job, 100 + number)
    claim_job(ledger, job, OWNER_A)
    newer = claim_job(ledger, job, OWNER_B, T0 + LEASE).attempt

    assert crash(ledger, job, 100) is State.DEAD

    stored = find(ledger, job)
    assert (stored.crashes, stored.worker_losses, stored.lease_owner) == (MAX_CRASHES, 0, None)
    assert stored.error == {"code": "native-crash", "detail": LATE_CRASH}
    assert not ledger.attempts.renew(job.id, newer, now=T0 + LEASE, lease=LEASE)
    assert not ledger.attempts.succeed(job.id, newer, now=T0 + LEASE, artifact="a" * 64)
    last = ledger.attempts.history(job.id)[-1]
    assert (last.number, last.outcome, last.cause) == (newer, Outcome.CANCELLED, "job-already-dead")
    assert last.explanation == "Attempt 3 crashed. Its crash report arrived late and ended the job."


def test_given_a_job_that_succeeded_meanwhile_then_a_late_crash_report_only_explains_its_attempt(
    ledger: Ledger,
) -> None:
    job = add_job(ledger)
    claim_job(ledger, job, OWNER_A)
    claim_job(ledger, job, OWNER_B, T0 + LEASE)
    ledger.attempts.succeed(job.id, 2, now=T0 + LEASE, artifact="a" * 64)
    finished = find(ledger, job)

    assert crash(ledger, job, 100) is State.SUCCEEDED

    assert find(ledger, job) == finished
    assert [attempt.cause for attempt in ledger.attempts.history(job.id)] == ["native-crash", None]


def test_given_a_dead_job_then_a_late_crash_report_does_not_raise_its_crashes(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job, OWNER_A)
    for number in range(1, MAX_CRASHES + 1):
        claim_job(ledger, job, f"{HOST}:{100 + number}:1", T0 + LEASE)
        crash(ledger, job, 100 + number)

    assert crash(ledger, job, 100) is State.DEAD

    assert find(ledger, job).crashes == MAX_CRASHES


def test_a_crash_of_an_unknown_job_or_child_changes_nothing(ledger: Ledger) -> None:
    job = add_job(ledger)
    claimed = claim_job(ledger, job)

    assert crash(ledger, a_job()) is None
    assert crash(ledger, job, 10) is State.RUNNING  # pid 10 is not pid 100
    assert find(ledger, job) == claimed
