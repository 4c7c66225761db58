"""The latest attempts of all tenants."""

from __future__ import annotations

from tasks.jobs import (
    Ledger,
    Outcome,
    RecentAttempts,
    latest_attempts,
    recent_attempts,
)
from tests.contract.ledger.support import (
    T0,
    a_job,
    add_job,
    claim_job,
)


def test_latest_attempts_have_the_format_of_their_drawing_and_their_facts(
    ledger: Ledger,
) -> None:
    old, failed, new, waiting = (add_job(ledger, plan={"format": kind}) for kind in ("png", "svg", "dxf", "pdf"))
    unknown = a_job()
    for number, job in enumerate((old, failed, new, unknown)):
        claimed = claim_job(ledger, job)
        end = T0 + 10 + number
        if job is failed:
            ledger.attempts.fail(job.id, claimed.attempt, now=end, error={"code": "x"}, facts={"n": number})
        else:
            ledger.attempts.succeed(job.id, claimed.attempt, now=end, artifact="a" * 64, facts={"n": number})
    claim_job(ledger, waiting)

    latest = [(kind, one.job, one.outcome, one.facts) for kind, one in latest_attempts(ledger.database, 2)]

    assert latest == [
        ("", unknown.id, Outcome.SUCCEEDED, {"n": 3}),
        ("dxf", new.id, Outcome.SUCCEEDED, {"n": 2}),
        ("svg", failed.id, Outcome.FAILED, {"n": 1}),
    ]


def test_recent_attempts_are_counted_by_outcome_and_cause_with_the_latest_facts_first(ledger: Ledger) -> None:
    for number in range(4):
        job = add_job(ledger)
        claimed = claim_job(ledger, job)
        ledger.attempts.succeed(job.id, claimed.attempt, now=T0 + 10 + number, artifact="a" * 64, facts={"n": number})
    claim_job(ledger, add_job(ledger))

    recent = recent_attempts(ledger.database, T0 + 11, 2)

    assert recent == RecentAttempts({(Outcome.SUCCEEDED, ""): 3}, [{"n": 3}, {"n": 2}])
