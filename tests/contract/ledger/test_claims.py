"""Claims: exactly one worker gets the lease of a job."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tasks.jobs import (
    Claimed,
    IdConflict,
    Job,
    Leased,
    Ledger,
    Outcome,
    State,
)
from tests.contract.ledger.support import (
    HOST,
    LEASE,
    OWNER_A,
    OWNER_B,
    T0,
    a_job,
    add_job,
    claim_job,
    find,
    in_parallel,
    outcomes,
)


def test_given_an_accepted_job_when_it_is_claimed_then_attempt_1_runs_under_a_lease(ledger: Ledger) -> None:
    job = add_job(ledger)

    claimed = claim_job(ledger, job, OWNER_A)

    assert claimed == find(ledger, job)
    assert (claimed.state, claimed.attempt, claimed.lease_owner, claimed.lease_expires_at) == (
        State.RUNNING,
        1,
        OWNER_A,
        T0 + LEASE,
    )
    assert outcomes(ledger, job) == [Outcome.RUNNING]


def test_given_an_unexpired_lease_when_another_worker_claims_then_the_job_is_leased(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job, OWNER_A)

    claim = ledger.attempts.claim(job, lease_owner=OWNER_B, now=T0 + LEASE - 1, lease=LEASE)

    assert isinstance(claim, Leased)
    assert claim.job.lease_owner == OWNER_A


def test_given_an_expired_lease_when_another_worker_claims_then_attempt_2_starts_and_attempt_1_is_unexplained(
    ledger: Ledger,
) -> None:
    job = add_job(ledger)
    claim_job(ledger, job, OWNER_A)

    claimed = claim_job(ledger, job, OWNER_B, T0 + LEASE)

    assert (claimed.attempt, claimed.lease_owner) == (2, OWNER_B)
    first, _second = ledger.attempts.history(job.id)
    assert (first.outcome, first.cause, first.explanation) == (
        Outcome.CRASHED,
        "worker-lost",
        "Its worker ended without a crash report.",
    )


def test_given_a_lease_owner_known_to_be_dead_then_its_lease_need_not_expire(ledger: Ledger) -> None:
    job = add_job(ledger)
    claim_job(ledger, job, OWNER_A)

    claimed = claim_job(ledger, job, OWNER_B, T0 + 1, is_dead=lambda lease_owner: lease_owner == OWNER_A)

    assert claimed.attempt == 2


def test_given_a_claim_whose_answer_was_lost_when_the_same_child_claims_again_then_it_gets_the_job(
    ledger: Ledger,
) -> None:
    job = add_job(ledger)
    claim_job(ledger, job, OWNER_A)

    assert claim_job(ledger, job, OWNER_A, T0 + 1).attempt == 2


def test_given_a_job_that_is_not_in_the_ledger_when_it_is_claimed_then_it_is_added(ledger: Ledger) -> None:
    job = a_job()

    claimed = claim_job(ledger, job)

    assert find(ledger, job) == claimed
    assert claimed.attempt == 1


@pytest.mark.parametrize(("tenant", "source"), [("rival", None), ("acme", "sources/acme/another")])
def test_given_the_id_of_another_job_when_it_is_claimed_then_it_is_an_id_conflict(
    ledger: Ledger, tenant: str, source: str | None
) -> None:
    job = add_job(ledger)

    claim = ledger.attempts.claim(
        replace(job, tenant=tenant, source=source or job.source), lease_owner=OWNER_B, now=T0, lease=LEASE
    )

    assert isinstance(claim, IdConflict)
    assert find(ledger, job) == job


def test_given_an_unknown_job_that_4_workers_claim_at_once_then_exactly_one_gets_it(ledger: Ledger) -> None:
    for _ in range(10):
        job = a_job()

        def add_and_claim(number: int, job: Job = job) -> Any:
            return ledger.attempts.claim(job, lease_owner=f"{HOST}:{number}:1", now=T0, lease=LEASE)

        claims = in_parallel(4, add_and_claim)

        assert Counter(type(claim) for claim in claims) == {Claimed: 1, Leased: 3}
        assert outcomes(ledger, job) == [Outcome.RUNNING]


def test_given_16_threads_that_claim_50_jobs_then_every_attempt_is_claimed_once(
    ledger: Ledger,
) -> None:
    jobs = [add_job(ledger) for _ in range(50)]

    def claim_all(number: int) -> list[tuple[str, int]]:
        own = []
        for job in jobs[number:] + jobs[:number]:
            claim = ledger.attempts.claim(job, lease_owner=f"{HOST}:{number}:1", now=T0, lease=LEASE)
            if isinstance(claim, Claimed):
                own.append((job.id, claim.job.attempt))
                if claim.job.attempt == 1:
                    ledger.attempts.requeue(
                        job.id, 1, now=T0, cause="store-unavailable", explanation="The store failed."
                    )
        return own

    claims = Counter(each for own in in_parallel(16, claim_all) for each in own)

    assert set(claims.values()) == {1}
    assert {job_id for job_id, attempt in claims if attempt == 1} == {job.id for job in jobs}
    assert all(len(ledger.attempts.history(job.id)) <= 2 for job in jobs)
