"""The latest attempts of all tenants."""

from __future__ import annotations

from tasks.jobs import (
    EndedAttempt,
    Ledger,
    Outcome,
    ended_attempts,
    latest_attempts,
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


def test_given_a_time_then_the_attempts_that_ended_since_are_listed_oldest_first(ledger: Ledger) -> None:
    for number in range(4):
        job = add_job(ledger)
        claimed = claim_job(ledger, job)
        ledger.attempts.succeed(job.id, claimed.attempt, now=T0 + 10 + number, artifact="a" * 64, facts={"n": number})
    claim_job(ledger, add_job(ledger))

    ended = ended_attempts(ledger.database, T0 + 11, 2)

    assert [(one.ended_at, one.outcome, one.cause, one.facts) for one in ended] == [
        (T0 + 11, Outcome.SUCCEEDED, "", {"n": 1}),
        (T0 + 12, Outcome.SUCCEEDED, "", {"n": 2}),
    ]
    assert all(isinstance(one, EndedAttempt) for one in ended)
