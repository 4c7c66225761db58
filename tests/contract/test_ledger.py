"""One contract, both ledgers: SQLite in a file, and a real MariaDB server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import DataError, IntegrityError

from tasks.database import engine as database_module
from tasks.database.engine import Database
from tasks.database.migrate import SchemaOutdated, check_migrated, migrate
from tasks.database.schema import attempts as attempts_table
from tasks.database.schema import jobs as jobs_table
from tasks.database.schema import metadata
from tasks.jobs import (
    Claimed,
    EndedAttempt,
    Finished,
    IdConflict,
    Job,
    Leased,
    Ledger,
    LedgerUnavailable,
    Outcome,
    Rerouted,
    State,
    ended_attempts,
    latest_attempts,
    open_ledger,
)
from tasks.jobs.attempts import Attempts
from tasks.jobs.idempotency import ABANDONED_AFTER, Completed, InProgress, Reserved
from tasks.jobs.model import MAX_WORKER_LOSSES
from tasks.messaging.topology import LARGE, RENDER, TILES
from tasks.settings import Settings
from tests.services.mariadb import MariaDb

T0 = 1_700_000_000.25
LEASE = 30.0
MAX_DEATHS = 3
HOST = "drum-1a2b3c4d-4026531836"
BOB = f"{HOST}:100:5000"
EVE = f"{HOST}:200:6000"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty ledger may be made."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    mariadb: MariaDb = request.getfixturevalue("mariadb")
    return mariadb.fresh_database()


@pytest.fixture
def open_at() -> Iterator[Callable[[str], Ledger]]:
    """Opens ledgers, and closes them after the test."""
    opened: list[Ledger] = []

    def open_one(url: str) -> Ledger:
        ledger = open_ledger(Settings(ledger_url=url, max_crashes=MAX_DEATHS))
        opened.append(ledger)
        return ledger

    yield open_one
    for ledger in opened:
        ledger.database.close()


@pytest.fixture
def ledger(url: str, open_at: Callable[[str], Ledger]) -> Ledger:
    """A migrated, empty ledger."""
    ledger = open_at(url)
    migrate(ledger.database)
    return ledger


def a_job(**fields: Any) -> Job:
    job_id = str(uuid.uuid4())
    tenant = fields.get("tenant", "acme")
    job = Job(
        id=job_id,
        tenant=tenant,
        state=State.ACCEPTED,
        source=f"sources/{tenant}/{job_id}",
        filename="pump.dxf",
        options={"width": 2048, "background": "light"},
        created_at=T0,
        updated_at=T0,
    )
    return replace(job, **fields)


def accepted(ledger: Ledger, **fields: Any) -> Job:
    job = a_job(**fields)
    ledger.jobs.accept(job)
    return job


def granted(ledger: Ledger, job: Job, holder: str = BOB, now: float = T0, **more: Any) -> Job:
    claim = ledger.attempts.claim(job, lease_owner=holder, now=now, lease=LEASE, **more)
    assert isinstance(claim, Claimed)
    return claim.job


def found(ledger: Ledger, job: Job) -> Job:
    known = ledger.jobs.find(job.id)
    assert known is not None
    return known


def die(ledger: Ledger, job: Job, pid: int = 100, *, causal: bool = True, now: float = T0 + 1) -> State | None:
    story = "Native code crashed it with SIGSEGV." if causal else "It was killed from outside with SIGKILL."
    cause = "native-crash" if causal else "killed"
    return ledger.attempts.record_crash(
        job.id, host=HOST, pid=pid, cause=cause, job_at_fault=causal, explanation=story, now=now
    )


def outcomes(ledger: Ledger, job: Job) -> list[Outcome]:
    return [attempt.outcome for attempt in ledger.attempts.history(job.id)]


def in_parallel(count: int, call: Callable[[int], Any]) -> list[Any]:
    """The answers of `count` threads that all begin at the same moment."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Any:
        barrier.wait(timeout=30)
        return call(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


# Accepting and finding


def test_an_accepted_job_is_found_again_field_by_field(ledger: Ledger) -> None:
    job = accepted(
        ledger,
        filename="Pümp 🚰 'station'.dxf",
        options={"width": 16, "layout": "Blatt 1", "deep": True},
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        created_at=1_763_876_543.1234567,
    )

    assert ledger.jobs.find(job.id) == job


def test_a_job_is_found_by_its_own_tenant_only(ledger: Ledger) -> None:
    job = accepted(ledger)

    assert ledger.jobs.find(job.id, "acme") == job
    assert ledger.jobs.find(job.id, "rival") is None
    assert ledger.jobs.find(str(uuid.uuid4())) is None


def test_accepting_the_same_job_twice_raises_integrity_error(ledger: Ledger) -> None:
    job = accepted(ledger)

    with pytest.raises(IntegrityError):
        ledger.jobs.accept(job)


def test_given_a_confirmed_message_then_an_accepted_job_is_queued_and_a_running_one_keeps_running(
    ledger: Ledger,
) -> None:
    slow, quick = accepted(ledger), accepted(ledger)
    granted(ledger, quick)

    for job in (slow, quick):
        ledger.jobs.mark_published(job.id, T0 + 2)

    assert found(ledger, slow).state is State.QUEUED
    assert found(ledger, quick).state is State.RUNNING
    assert [(found(ledger, job).published_at, found(ledger, job).publications) for job in (slow, quick)] == [
        (T0 + 2, 1),
        (T0 + 2, 1),
    ]


# Pages


def test_pages_show_each_job_once_newest_first_even_at_equal_times(ledger: Ledger) -> None:
    times = [T0 + number / 3 for number in range(4) for _ in range(5)]
    expected = [accepted(ledger, created_at=time) for time in times]
    accepted(ledger, tenant="rival")

    seen, after = [], None
    while True:
        page = ledger.jobs.page("acme", after=after, limit=3)
        seen += page.jobs
        after = page.next
        if after is None:
            break

    assert [job.id for job in seen] == [
        job.id for job in sorted(expected, key=lambda job: (job.created_at, job.id), reverse=True)
    ]


def test_a_page_without_tenant_shows_every_tenants_jobs(ledger: Ledger) -> None:
    mine, theirs = accepted(ledger), accepted(ledger, tenant="rival")

    assert {job.id for job in ledger.jobs.page().jobs} == {mine.id, theirs.id}


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("%", ["100% done.dxf"]),
        ("_", ["a_b.dxf"]),
        ("/", ["a/b.dxf"]),
        ("\\", ["back\\slash.dxf"]),
        ("PLAN", ["Floorplan.dxf"]),
        ("'; --", []),
        ("dxf", ["100% done.dxf", "Floorplan.dxf", "a/b.dxf", "a_b.dxf", "back\\slash.dxf"]),
    ],
)
def test_search_takes_every_character_literally_and_no_heed_of_case(
    ledger: Ledger, search: str, expected: list[str]
) -> None:
    for name in ("100% done.dxf", "a_b.dxf", "a/b.dxf", "back\\slash.dxf", "Floorplan.dxf"):
        accepted(ledger, filename=name)

    assert sorted(job.filename for job in ledger.jobs.page("acme", search=search).jobs) == expected


def test_search_finds_the_start_of_an_id_but_not_its_middle(ledger: Ledger) -> None:
    job = accepted(ledger)

    assert [hit.id for hit in ledger.jobs.page(search=job.id[:9]).jobs] == [job.id]
    assert ledger.jobs.page(search=job.id[9:]).jobs == []


def test_a_page_without_parts_leaves_out_jobs_that_cut_tiles_of_one_layer(ledger: Ledger) -> None:
    whole = {accepted(ledger).id, accepted(ledger, options={"tiles": True, "tile_layer": -1}).id}
    part = accepted(ledger, options={"tiles": True, "tile_layer": 0})

    assert {job.id for job in ledger.jobs.page("acme").jobs} == {*whole, part.id}
    assert {job.id for job in ledger.jobs.page("acme", include_tile_jobs=False).jobs} == whole


def test_pages_and_counts_tell_states_apart(ledger: Ledger) -> None:
    running = accepted(ledger)
    granted(ledger, running)
    accepted(ledger)
    accepted(ledger, tenant="rival")

    assert [job.id for job in ledger.jobs.page("acme", states=[State.RUNNING]).jobs] == [running.id]
    assert ledger.jobs.count_by_state("acme") == {**dict.fromkeys(State, 0), State.RUNNING: 1, State.ACCEPTED: 1}
    assert ledger.jobs.count_by_state()[State.ACCEPTED] == 2


# Claims


def test_given_an_accepted_job_when_it_is_claimed_then_attempt_1_runs_under_a_lease(ledger: Ledger) -> None:
    job = accepted(ledger)

    claimed = granted(ledger, job, BOB)

    assert claimed == found(ledger, job)
    assert (claimed.state, claimed.attempt, claimed.lease_owner, claimed.lease_expires_at) == (
        State.RUNNING,
        1,
        BOB,
        T0 + LEASE,
    )
    assert outcomes(ledger, job) == [Outcome.RUNNING]


def test_given_a_live_lease_when_another_worker_claims_then_it_is_held(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job, BOB)

    claim = ledger.attempts.claim(job, lease_owner=EVE, now=T0 + LEASE - 1, lease=LEASE)

    assert isinstance(claim, Leased)
    assert claim.job.lease_owner == BOB


def test_given_a_lease_that_ran_out_when_another_worker_claims_then_attempt_2_begins_and_attempt_1_is_unexplained(
    ledger: Ledger,
) -> None:
    job = accepted(ledger)
    granted(ledger, job, BOB)

    claimed = granted(ledger, job, EVE, T0 + LEASE)

    assert (claimed.attempt, claimed.lease_owner) == (2, EVE)
    first, _second = ledger.attempts.history(job.id)
    assert (first.outcome, first.cause, first.explanation) == (Outcome.CRASHED, "worker-lost", "Its worker vanished.")


def test_given_a_holder_known_to_be_gone_then_nobody_waits_for_its_lease(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job, BOB)

    claimed = granted(ledger, job, EVE, T0 + 1, is_gone=lambda holder: holder == BOB)

    assert claimed.attempt == 2


def test_given_a_claim_whose_answer_was_lost_when_the_same_child_claims_again_then_it_is_granted(
    ledger: Ledger,
) -> None:
    job = accepted(ledger)
    granted(ledger, job, BOB)

    assert granted(ledger, job, BOB, T0 + 1).attempt == 2


def test_given_a_job_that_the_ledger_does_not_know_when_it_is_claimed_then_it_is_adopted(ledger: Ledger) -> None:
    job = a_job()

    claimed = granted(ledger, job)

    assert found(ledger, job) == claimed
    assert claimed.attempt == 1


@pytest.mark.parametrize(("tenant", "source"), [("rival", None), ("acme", "sources/acme/another")])
def test_given_an_id_of_another_job_when_it_is_claimed_then_it_is_taken(
    ledger: Ledger, tenant: str, source: str | None
) -> None:
    job = accepted(ledger)

    claim = ledger.attempts.claim(
        replace(job, tenant=tenant, source=source or job.source), lease_owner=EVE, now=T0, lease=LEASE
    )

    assert isinstance(claim, IdConflict)
    assert found(ledger, job) == job


def test_given_many_adopters_of_one_job_at_the_same_moment_then_exactly_one_is_granted(ledger: Ledger) -> None:
    for _ in range(10):
        job = a_job()

        def adopt(number: int, job: Job = job) -> Any:
            return ledger.attempts.claim(job, lease_owner=f"{HOST}:{number}:1", now=T0, lease=LEASE)

        claims = in_parallel(4, adopt)

        assert Counter(type(claim) for claim in claims) == {Claimed: 1, Leased: 3}
        assert outcomes(ledger, job) == [Outcome.RUNNING]


def test_given_16_threads_hammering_claims_of_50_jobs_then_every_job_is_granted_once_an_attempt(
    ledger: Ledger,
) -> None:
    jobs = [accepted(ledger) for _ in range(50)]

    def hammer(number: int) -> list[tuple[str, int]]:
        grants = []
        for job in jobs[number:] + jobs[:number]:
            claim = ledger.attempts.claim(job, lease_owner=f"{HOST}:{number}:1", now=T0, lease=LEASE)
            if isinstance(claim, Claimed):
                grants.append((job.id, claim.job.attempt))
                if claim.job.attempt == 1:
                    ledger.attempts.requeue(
                        job.id, 1, now=T0, cause="store-unavailable", explanation="The store was away."
                    )
        return grants

    grants = Counter(grant for grants in in_parallel(16, hammer) for grant in grants)

    assert set(grants.values()) == {1}
    assert {job_id for job_id, attempt in grants if attempt == 1} == {job.id for job in jobs}
    assert all(len(ledger.attempts.history(job.id)) <= 2 for job in jobs)


# Leases and settling


def test_a_lease_is_renewed_repeatedly_even_within_the_same_moment(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job)

    renewed = [ledger.attempts.renew(job.id, 1, now=T0 + 10, lease=LEASE) for _ in range(3)]

    assert renewed == [True, True, True]
    assert found(ledger, job).lease_expires_at == T0 + 10 + LEASE


def test_given_a_zombie_whose_job_has_a_newer_attempt_then_nothing_it_says_counts(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job, BOB)
    newer = granted(ledger, job, EVE, T0 + LEASE)
    now = T0 + LEASE + 1

    assert not ledger.attempts.renew(job.id, 1, now=now, lease=LEASE)
    assert not ledger.attempts.record_plan(job.id, 1, digest="0" * 64, size=1, plan={})
    assert not ledger.attempts.succeed(job.id, 1, now=now, artifact="f" * 64)
    assert not ledger.attempts.fail(job.id, 1, now=now, error={"code": "x", "detail": "x"})
    assert not ledger.attempts.requeue(job.id, 1, now=now, cause="store-unavailable", explanation="x")
    assert found(ledger, job) == newer


def test_given_a_zombie_whose_job_was_settled_by_a_newer_attempt_then_the_outcome_stands(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job, BOB)
    granted(ledger, job, EVE, T0 + LEASE)
    assert ledger.attempts.succeed(job.id, 2, now=T0 + 40, artifact="a" * 64)

    assert not ledger.attempts.succeed(job.id, 1, now=T0 + 41, artifact="f" * 64)
    assert not ledger.attempts.fail(job.id, 1, now=T0 + 41, error={"code": "x", "detail": "x"})
    assert (found(ledger, job).state, found(ledger, job).artifact) == (State.SUCCEEDED, "a" * 64)


def test_success_may_be_said_twice_by_the_same_attempt_and_is_recorded_once(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job)
    facts = {"seconds": 1.25, "peak_bytes": 2**33}

    assert ledger.attempts.succeed(job.id, 1, now=T0 + 2, artifact="a" * 64, facts=facts)
    assert ledger.attempts.succeed(job.id, 1, now=T0 + 3, artifact="a" * 64, facts=facts)

    known = found(ledger, job)
    assert (known.state, known.artifact, known.finished_at) == (State.SUCCEEDED, "a" * 64, T0 + 2)
    assert (known.lease_owner, known.lease_expires_at) == (None, None)
    (attempt,) = ledger.attempts.history(job.id)
    assert (attempt.outcome, attempt.ended_at, attempt.facts) == (Outcome.SUCCEEDED, T0 + 2, facts)


def test_a_failed_job_keeps_its_error_and_is_settled(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job)
    error = {"code": "truncated", "detail": "The drawing ends in the middle. Send the whole file."}

    assert ledger.attempts.fail(job.id, 1, now=T0 + 2, error=error)
    assert ledger.attempts.fail(job.id, 1, now=T0 + 3, error=error)

    assert (found(ledger, job).state, found(ledger, job).error) == (State.FAILED, error)
    assert isinstance(ledger.attempts.claim(job, lease_owner=EVE, now=T0 + 4, lease=LEASE), Finished)


def test_a_noted_plan_is_kept_with_its_numbers_as_they_are(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job)
    plan = {"format": "dxf", "peak_bytes": 2**31, "seconds": 0.1, "width": None}

    assert ledger.attempts.record_plan(job.id, 1, digest="d" * 64, size=2**40, plan=plan)

    known = found(ledger, job)
    assert (known.digest, known.size, known.plan) == ("d" * 64, 2**40, plan)


def test_a_released_job_waits_again_without_a_death_and_is_due_for_publication_at_once(ledger: Ledger) -> None:
    job = accepted(ledger)
    ledger.jobs.mark_published(job.id, T0)
    granted(ledger, job)

    assert ledger.attempts.requeue(job.id, 1, now=T0 + 70, cause="store-unavailable", explanation="The store was away.")

    known = found(ledger, job)
    assert (known.state, known.crashes, known.worker_losses, known.lease_owner) == (State.QUEUED, 0, 0, None)
    (attempt,) = ledger.attempts.history(job.id)
    assert (attempt.outcome, attempt.cause, attempt.explanation) == (Outcome.REQUEUED, "store", "The store was away.")
    assert [due.id for due in ledger.jobs.stale(T0 + 71, republish_after=60, queue_depth=1000)] == [job.id]


# Deaths


def test_given_deaths_of_its_own_making_then_the_job_is_dead_at_the_last_one_allowed(ledger: Ledger) -> None:
    job = accepted(ledger)

    states = []
    for number in range(MAX_DEATHS):
        granted(ledger, job, f"{HOST}:{100 + number}:1")
        states.append(die(ledger, job, 100 + number))

    assert states == [State.QUEUED, State.QUEUED, State.DEAD]
    known = found(ledger, job)
    assert known.error == {
        "code": "native-crash",
        "detail": "Native code crashed it with SIGSEGV. Attempt 3 was the last one.",
    }
    assert (known.crashes, known.finished_at) == (MAX_DEATHS, T0 + 1)
    assert isinstance(ledger.attempts.claim(job, lease_owner=EVE, now=T0 + 5, lease=LEASE), Finished)


def test_a_death_is_counted_once_however_often_it_is_told(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job)

    told = in_parallel(4, lambda _number: die(ledger, job))

    assert told == [State.QUEUED] * 4
    assert found(ledger, job).crashes == 1


def test_given_deaths_from_outside_then_the_job_is_not_condemned_before_the_bound_of_losses(ledger: Ledger) -> None:
    job = accepted(ledger)

    states = []
    for number in range(MAX_WORKER_LOSSES):
        granted(ledger, job, f"{HOST}:{100 + number}:1")
        states.append(die(ledger, job, 100 + number, causal=False))

    assert states == [State.QUEUED] * (MAX_WORKER_LOSSES - 1) + [State.DEAD]
    assert found(ledger, job).crashes == 0


def test_given_many_attempts_given_back_then_one_death_from_outside_does_not_condemn(ledger: Ledger) -> None:
    job = accepted(ledger)
    for number in range(1, MAX_WORKER_LOSSES + 2):
        granted(ledger, job)
        ledger.attempts.requeue(job.id, number, now=T0, cause="store-unavailable", explanation="The store was away.")
    granted(ledger, job)

    assert die(ledger, job, causal=False) is State.QUEUED


def test_given_workers_that_vanish_without_a_word_then_the_job_ends_at_the_bound_of_losses(ledger: Ledger) -> None:
    job = accepted(ledger)

    for number in range(MAX_WORKER_LOSSES):
        granted(ledger, job, f"{HOST}:{number}:1", is_gone=lambda _holder: True)
    claim = ledger.attempts.claim(job, lease_owner=EVE, now=T0, lease=LEASE, is_dead=lambda _holder: True)

    assert isinstance(claim, Finished)
    assert claim.job.state is State.DEAD
    assert claim.job.error == {"code": "worker-lost", "detail": "Its worker vanished. Attempt 20 was the last one."}


def test_given_a_note_that_comes_late_then_it_explains_the_attempt_once_and_the_newer_one_goes_on(
    ledger: Ledger,
) -> None:
    job = accepted(ledger)
    granted(ledger, job, BOB)
    granted(ledger, job, EVE, T0 + LEASE)

    told = [die(ledger, job, 100), die(ledger, job, 100)]

    assert told == [State.RUNNING, State.RUNNING]
    known = found(ledger, job)
    assert (known.crashes, known.worker_losses, known.attempt, known.lease_owner) == (1, 0, 2, EVE)
    first, second = ledger.attempts.history(job.id)
    assert (first.cause, first.explanation) == ("native-crash", "Native code crashed it with SIGSEGV.")
    assert second.outcome is Outcome.RUNNING


def test_given_a_late_note_that_makes_the_last_death_allowed_then_a_waiting_job_is_dead(ledger: Ledger) -> None:
    job = accepted(ledger)
    for number in range(MAX_DEATHS):
        granted(ledger, job, f"{HOST}:{100 + number}:1", T0 + number * LEASE)
    ledger.attempts.requeue(
        job.id, MAX_DEATHS, now=T0 + 100, cause="store-unavailable", explanation="The store was away."
    )
    granted(ledger, job, f"{HOST}:900:1", T0 + 100)
    die(ledger, job, 900, causal=True)

    assert [die(ledger, job, 100), die(ledger, job, 101)] == [State.QUEUED, State.DEAD]
    assert found(ledger, job).error == {"code": "native-crash", "detail": LAST_BUT_LATE}


LAST_BUT_LATE = "Native code crashed it with SIGSEGV. Word of that came late; it was the last death allowed."


def test_given_a_late_note_that_makes_the_last_death_allowed_then_the_attempt_that_runs_by_now_no_longer_counts(
    ledger: Ledger,
) -> None:
    job = accepted(ledger)
    for number in range(1, MAX_DEATHS):
        granted(ledger, job, f"{HOST}:{100 + number}:1")
        die(ledger, job, 100 + number)
    granted(ledger, job, BOB)
    newer = granted(ledger, job, EVE, T0 + LEASE).attempt

    assert die(ledger, job, 100) is State.DEAD

    known = found(ledger, job)
    assert (known.crashes, known.worker_losses, known.lease_owner) == (MAX_DEATHS, 0, None)
    assert known.error == {"code": "native-crash", "detail": LAST_BUT_LATE}
    assert not ledger.attempts.renew(job.id, newer, now=T0 + LEASE, lease=LEASE)
    assert not ledger.attempts.succeed(job.id, newer, now=T0 + LEASE, artifact="a" * 64)
    last = ledger.attempts.history(job.id)[-1]
    assert (last.number, last.outcome, last.cause) == (newer, Outcome.CANCELLED, "job-already-dead")
    assert last.explanation == "The death of attempt 3, of which word came late, was the last one allowed."


def test_given_a_job_that_succeeded_meanwhile_when_a_late_note_comes_then_it_explains_and_changes_nothing_else(
    ledger: Ledger,
) -> None:
    job = accepted(ledger)
    granted(ledger, job, BOB)
    granted(ledger, job, EVE, T0 + LEASE)
    ledger.attempts.succeed(job.id, 2, now=T0 + LEASE, artifact="a" * 64)
    settled = found(ledger, job)

    assert die(ledger, job, 100) is State.SUCCEEDED

    assert found(ledger, job) == settled
    assert [attempt.cause for attempt in ledger.attempts.history(job.id)] == ["native-crash", None]


def test_given_a_dead_job_when_a_late_note_comes_then_its_deaths_stay_bounded(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job, BOB)
    for number in range(1, MAX_DEATHS + 1):
        granted(ledger, job, f"{HOST}:{100 + number}:1", T0 + LEASE)
        die(ledger, job, 100 + number)

    assert die(ledger, job, 100) is State.DEAD

    assert found(ledger, job).crashes == MAX_DEATHS


def test_a_death_at_a_job_or_of_a_child_that_is_unknown_changes_nothing(ledger: Ledger) -> None:
    job = accepted(ledger)
    claimed = granted(ledger, job)

    assert die(ledger, a_job()) is None
    assert die(ledger, job, 10) is State.RUNNING  # pid 10 is not pid 100
    assert found(ledger, job) == claimed


# Cancelling, replaying, removing


def test_given_a_running_job_when_it_is_cancelled_then_its_lease_cannot_be_renewed_and_its_attempt_has_ended(
    ledger: Ledger,
) -> None:
    job = accepted(ledger)
    granted(ledger, job)
    error = {"code": "cancelled", "detail": "Cancelled on request."}

    assert ledger.jobs.cancel(job.id, T0 + 1, error=error)

    assert not ledger.attempts.renew(job.id, 1, now=T0 + 2, lease=LEASE)
    assert not ledger.attempts.succeed(job.id, 1, now=T0 + 2, artifact="a" * 64)
    known = found(ledger, job)
    assert (known.state, known.error, known.finished_at) == (State.CANCELLED, error, T0 + 1)
    (attempt,) = ledger.attempts.history(job.id)
    assert (attempt.outcome, attempt.ended_at) == (Outcome.CANCELLED, T0 + 1)
    assert die(ledger, job) is State.CANCELLED
    assert found(ledger, job).crashes == 0


def test_a_settled_job_cannot_be_cancelled(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job)
    ledger.attempts.succeed(job.id, 1, now=T0, artifact="a" * 64)

    assert not ledger.jobs.cancel(job.id, T0, error={})
    assert not ledger.jobs.cancel(str(uuid.uuid4()), T0, error={})
    assert outcomes(ledger, job) == [Outcome.SUCCEEDED]


def test_a_waiting_job_is_buried_and_a_running_one_is_not(ledger: Ledger) -> None:
    waiting, running = accepted(ledger), accepted(ledger)
    granted(ledger, running)
    error = {"code": "delivery-limit", "detail": "The broker gave up."}

    assert ledger.jobs.mark_dead(waiting.id, T0, error=error)
    assert not ledger.jobs.mark_dead(running.id, T0, error=error)
    assert (found(ledger, waiting).state, found(ledger, waiting).error) == (State.DEAD, error)


def test_given_a_dead_job_when_it_is_replayed_then_its_deaths_are_forgiven_and_its_attempts_are_kept(
    ledger: Ledger,
) -> None:
    job = accepted(ledger)
    for number in range(MAX_DEATHS):
        granted(ledger, job, f"{HOST}:{100 + number}:1")
        die(ledger, job, 100 + number)

    assert ledger.jobs.replay(job.id, T0 + 50)

    known = found(ledger, job)
    assert (known.state, known.crashes, known.error, known.finished_at) == (State.ACCEPTED, 0, None, None)
    assert granted(ledger, job, EVE, T0 + 51).attempt == MAX_DEATHS + 1
    assert die(ledger, job, 200, causal=True) is State.QUEUED


def test_a_succeeded_or_an_open_job_is_not_replayed(ledger: Ledger) -> None:
    done, waiting = accepted(ledger), accepted(ledger)
    granted(ledger, done)
    ledger.attempts.succeed(done.id, 1, now=T0, artifact="a" * 64)

    assert not ledger.jobs.replay(done.id, T0)
    assert not ledger.jobs.replay(waiting.id, T0)


def test_a_settled_job_is_removed_with_its_attempts_and_an_open_one_is_kept_with_its_idempotency_key(
    ledger: Ledger,
) -> None:
    ledger.idempotency_keys.reserve("acme", "key-1", T0)
    job = accepted(ledger)
    ledger.idempotency_keys.complete("acme", "key-1", job=job.id, fingerprint="f" * 64)
    granted(ledger, job)

    assert not ledger.jobs.remove(job.id)
    assert ledger.idempotency_keys.reserve("acme", "key-1", T0) == Completed(job.id, "f" * 64)

    ledger.attempts.fail(job.id, 1, now=T0, error={"code": "x", "detail": "x"})
    assert ledger.jobs.remove(job.id)
    assert ledger.jobs.find(job.id) is None
    assert ledger.attempts.history(job.id) == []
    assert ledger.idempotency_keys.reserve("acme", "key-1", T0) == Reserved()
    assert not ledger.jobs.remove(job.id)


def test_artifacts_and_sources_are_known_to_be_in_use_by_their_own_tenant(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job)
    ledger.attempts.succeed(job.id, 1, now=T0, artifact="a" * 64)

    assert ledger.jobs.is_artifact_in_use("acme", "a" * 64)
    assert not ledger.jobs.is_artifact_in_use("rival", "a" * 64)
    assert ledger.jobs.is_source_in_use(job.source)
    assert not ledger.jobs.is_source_in_use("sources/acme/another")


# Overdue


def test_jobs_whose_message_is_gone_are_overdue_and_others_are_not(ledger: Ledger) -> None:
    never_published = accepted(ledger)
    published = accepted(ledger)
    ledger.jobs.mark_published(published.id, T0)
    expired, alive, done = accepted(ledger), accepted(ledger), accepted(ledger)
    granted(ledger, expired, now=T0)
    granted(ledger, alive, now=T0 + 50)
    granted(ledger, done)
    ledger.attempts.succeed(done.id, 1, now=T0, artifact="a" * 64)

    def overdue(now: float, waiting: int) -> set[str]:
        return {job.id for job in ledger.jobs.stale(now, republish_after=60, queue_depth=waiting)}

    assert overdue(T0 + 59, 0) == {expired.id}
    assert overdue(T0 + 61, 5) == {expired.id, never_published.id}
    assert overdue(T0 + 61, 0) == {expired.id, never_published.id, published.id}


def test_given_a_running_job_that_was_published_again_then_it_is_not_overdue_at_every_sweep(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job, now=T0)
    ledger.jobs.mark_published(job.id, T0 + LEASE + 1)

    assert ledger.jobs.stale(T0 + LEASE + 200, republish_after=60, queue_depth=5000) == []
    assert [due.id for due in ledger.jobs.stale(T0 + LEASE + 200, republish_after=60, queue_depth=0)] == [job.id]


def test_given_a_long_backlog_then_only_jobs_are_overdue_that_the_workers_went_past(ledger: Ledger) -> None:
    def published(at: float, publications: int = 1) -> Job:
        job = a_job(state=State.QUEUED, published_at=T0 + at, publications=publications, updated_at=T0)
        ledger.jobs.accept(job)
        return job

    lost, next_in_line, taken = published(0), published(50), published(100)
    taken_of_an_older_message = published(1000, publications=2)
    for number in range(20):
        published(200 + number)
    granted(ledger, taken, now=T0 + 300)
    granted(ledger, taken_of_an_older_message, now=T0 + 300)

    def overdue(now: float) -> list[str]:
        return [job.id for job in ledger.jobs.stale(T0 + now, republish_after=60, queue_depth=21, limit=5)]

    assert overdue(300) == [lost.id]
    granted(ledger, next_in_line, now=T0 + 301)
    assert overdue(302) == [lost.id]


# Lanes


@pytest.fixture
def with_large_lane(ledger: Ledger) -> Ledger:
    return replace(ledger, attempts=Attempts(ledger.database, 3, has_large_queue=True))


def out_of_memory(ledger: Ledger, job: Job, pid: int = 100, now: float = T0 + 1) -> State | None:
    story = "The kernel killed it."
    return ledger.attempts.record_crash(
        job.id, host=HOST, pid=pid, cause="out-of-memory", job_at_fault=True, explanation=story, now=now
    )


def test_given_a_large_lane_when_a_job_is_out_of_memory_then_it_is_published_again_there(
    with_large_lane: Ledger,
) -> None:
    ledger = with_large_lane
    job = accepted(ledger, state=State.QUEUED, published_at=T0, publications=1)
    granted(ledger, job)

    assert out_of_memory(ledger, job) is State.QUEUED

    moved = found(ledger, job)
    assert (moved.queue, moved.crashes, moved.published_at) == (LARGE, 1, None)
    [attempt] = ledger.attempts.history(job.id)
    assert attempt.explanation == "The kernel killed it. It goes on in render.large, inside a larger fence."
    assert ledger.jobs.stale(T0 + 62, republish_after=60, queue_depth=9, queue=RENDER) == []
    assert [due.id for due in ledger.jobs.stale(T0 + 62, republish_after=60, queue_depth=9, queue=LARGE)] == [job.id]


def test_given_a_moved_job_when_its_old_message_comes_then_it_is_let_go_and_the_new_one_is_granted(
    with_large_lane: Ledger,
) -> None:
    ledger = with_large_lane
    job = accepted(ledger)
    granted(ledger, job)
    out_of_memory(ledger, job)

    old = ledger.attempts.claim(job, lease_owner=BOB, now=T0 + 2, lease=LEASE)

    assert old == Rerouted(found(ledger, job))
    assert granted(ledger, replace(job, queue=LARGE), now=T0 + 3).attempt == 2


def test_given_a_job_out_of_memory_in_both_fences_then_it_is_dead_and_a_replay_goes_to_the_large_lane(
    with_large_lane: Ledger,
) -> None:
    ledger = with_large_lane
    job = accepted(ledger)
    granted(ledger, job)
    out_of_memory(ledger, job)
    granted(ledger, replace(job, queue=LARGE), now=T0 + 2)

    assert out_of_memory(ledger, job, now=T0 + 3) is State.DEAD

    dead = found(ledger, job)
    assert (dead.crashes, dead.queue) == (2, LARGE)
    assert dead.error == {"code": "out-of-memory", "detail": "The kernel killed it. Attempt 2 was the last one."}
    assert ledger.jobs.replay(job.id, T0 + 4)
    assert (found(ledger, job).queue, found(ledger, job).crashes) == (LARGE, 0)


def test_given_no_large_lane_when_a_job_is_out_of_memory_then_it_has_its_deaths_where_it_is(ledger: Ledger) -> None:
    job = accepted(ledger)
    states = []
    for number in range(3):
        granted(ledger, job, now=T0 + number)
        states.append(out_of_memory(ledger, job, now=T0 + number))

    assert states == [State.QUEUED, State.QUEUED, State.DEAD]
    assert found(ledger, job).queue == RENDER


def test_given_a_crash_then_a_job_does_not_change_its_lane(with_large_lane: Ledger) -> None:
    job = accepted(with_large_lane, queue=TILES, published_at=T0)
    granted(with_large_lane, job)
    die(with_large_lane, job)

    assert (found(with_large_lane, job).queue, found(with_large_lane, job).published_at) == (TILES, T0)


def test_given_a_job_that_is_given_back_for_another_lane_then_it_waits_there(ledger: Ledger) -> None:
    job = accepted(ledger)
    granted(ledger, job)

    assert ledger.attempts.requeue(job.id, 1, now=T0 + 1, cause="rerouted", explanation="Too large.", queue=LARGE)

    assert (found(ledger, job).queue, found(ledger, job).state) == (LARGE, State.QUEUED)


# Turns of tenants


def test_given_jobs_held_for_their_turn_then_tenants_take_turns_and_none_exceeds_its_window(ledger: Ledger) -> None:
    for number in range(4):
        accepted(ledger, filename=f"acme {number}", created_at=T0 + number)
    for number in range(2):
        accepted(ledger, tenant="rival", filename=f"rival {number}", created_at=T0 + 10 + number)
    accepted(ledger, tenant="third", filename="third 0", created_at=T0 + 20)
    accepted(ledger, tenant="third", state=State.QUEUED, published_at=T0, publications=1)
    accepted(ledger, queue=TILES, filename="another lane")

    def turns(window: int, **more: Any) -> list[str]:
        return [job.filename for job in ledger.jobs.next_fair_batch(RENDER, max_queued=window, **more)]

    assert turns(1) == ["acme 0", "rival 0"]
    assert turns(2) == ["acme 0", "rival 0", "third 0", "acme 1", "rival 1"]
    assert turns(9) == ["acme 0", "rival 0", "third 0", "acme 1", "rival 1", "acme 2", "acme 3"]
    assert turns(9, limit=2) == ["acme 0", "rival 0"]
    assert [job.filename for job in ledger.jobs.next_fair_batch(TILES, max_queued=1)] == ["another lane"]


def test_given_turns_then_only_jobs_that_were_in_the_queue_before_are_overdue(ledger: Ledger) -> None:
    accepted(ledger)
    lost = accepted(ledger, state=State.QUEUED, published_at=T0, publications=1)

    assert [due.id for due in ledger.jobs.stale(T0 + 99, republish_after=60, queue_depth=0, fair=True)] == [lost.id]
    assert len(ledger.jobs.stale(T0 + 99, republish_after=60, queue_depth=0)) == 2


def test_a_tenants_jobs_are_counted_while_they_wait_and_while_they_run(ledger: Ledger) -> None:
    running, _held, _tiles = accepted(ledger), accepted(ledger), accepted(ledger, queue=TILES, state=State.QUEUED)
    done = accepted(ledger)
    accepted(ledger, tenant="rival")
    granted(ledger, running)
    granted(ledger, done)
    ledger.attempts.succeed(done.id, 1, now=T0, artifact="a" * 64)

    assert ledger.jobs.count_open("acme") == 3
    assert (ledger.jobs.count_waiting("acme", RENDER), ledger.jobs.count_waiting("acme", TILES)) == (1, 1)


# Requests with an idempotency key


def test_a_key_is_reserved_used_and_freed_a_tenant(ledger: Ledger) -> None:
    assert ledger.idempotency_keys.reserve("acme", "key", T0) == Reserved()
    assert ledger.idempotency_keys.reserve("acme", "key", T0) == InProgress()
    assert ledger.idempotency_keys.reserve("rival", "key", T0) == Reserved()
    assert ledger.idempotency_keys.reserve("acme", "KEY", T0) == Reserved()

    ledger.idempotency_keys.release("acme", "key")
    assert ledger.idempotency_keys.reserve("acme", "key", T0) == Reserved()

    job = accepted(ledger)
    ledger.idempotency_keys.complete("acme", "key", job=job.id, fingerprint="f" * 64)
    ledger.idempotency_keys.complete("acme", "key", job=a_job().id, fingerprint="e" * 64)
    assert ledger.idempotency_keys.reserve("acme", "key", T0 + ABANDONED_AFTER + 1) == Completed(job.id, "f" * 64)


def test_a_key_whose_web_process_died_is_free_after_a_while(ledger: Ledger) -> None:
    ledger.idempotency_keys.reserve("acme", "key", T0)

    assert ledger.idempotency_keys.reserve("acme", "key", T0 + ABANDONED_AFTER) == InProgress()
    assert ledger.idempotency_keys.reserve("acme", "key", T0 + ABANDONED_AFTER + 1) == Reserved()


def test_given_20_threads_that_reserve_one_key_then_exactly_one_is_new(ledger: Ledger) -> None:
    for number in range(5):
        key = f"key-{number}"
        answers = in_parallel(20, partial(lambda key, _number: ledger.idempotency_keys.reserve("acme", key, T0), key))

        assert Counter(map(type, answers)) == {Reserved: 1, InProgress: 19}


# Transactions and trouble


def test_given_two_transactions_that_deadlock_then_both_are_done_in_the_end(ledger: Ledger) -> None:
    first, second = accepted(ledger), accepted(ledger)
    met = threading.Barrier(2)

    def change(connection: Connection, order: tuple[Job, Job], tries: list[int]) -> None:
        tries.append(1)
        for number, job in enumerate(order):
            connection.execute(
                update(jobs_table).where(jobs_table.c.id == job.id).values(crashes=jobs_table.c.crashes + 1)
            )
            if number == 0 and len(tries) == 1 and connection.dialect.name != "sqlite":
                met.wait(timeout=20)  # both hold one row now and want the other's

    tries: list[list[int]] = [[], []]
    orders = [(first, second), (second, first)]
    in_parallel(
        2, lambda number: ledger.database.write(lambda connection: change(connection, orders[number], tries[number]))
    )

    assert [found(ledger, job).crashes for job in (first, second)] == [2, 2]
    if ledger.database.engine.dialect.name != "sqlite":  # which has one writer at a time
        assert sum(map(len, tries)) == 3


def test_given_a_change_that_raises_then_nothing_of_it_is_kept(ledger: Ledger) -> None:
    job = a_job()

    def change(connection: Connection) -> None:
        connection.execute(insert(jobs_table).values(asdict(job)))
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        ledger.database.write(change)
    assert ledger.jobs.find(job.id) is None


def test_what_was_settled_lately_comes_with_the_format_of_its_drawing_and_the_last_attempts_facts(
    ledger: Ledger,
) -> None:
    old, failed, new, waiting = (accepted(ledger, plan={"format": kind}) for kind in ("png", "svg", "dxf", "pdf"))
    adopted = a_job()
    for number, job in enumerate((old, failed, new, adopted)):
        claimed = granted(ledger, job)
        end = T0 + 10 + number
        if job is failed:
            ledger.attempts.fail(job.id, claimed.attempt, now=end, error={"code": "x"}, facts={"n": number})
        else:
            ledger.attempts.succeed(job.id, claimed.attempt, now=end, artifact="a" * 64, facts={"n": number})
    granted(ledger, waiting)

    found = [(kind, one.job, one.outcome, one.facts) for kind, one in latest_attempts(ledger.database, 2)]

    assert found == [
        ("", adopted.id, Outcome.SUCCEEDED, {"n": 3}),
        ("dxf", new.id, Outcome.SUCCEEDED, {"n": 2}),
        ("svg", failed.id, Outcome.FAILED, {"n": 1}),
    ]


def test_given_a_time_then_the_attempts_that_ended_since_are_listed_oldest_first(ledger: Ledger) -> None:
    for number in range(4):
        job = accepted(ledger)
        claimed = granted(ledger, job)
        ledger.attempts.succeed(job.id, claimed.attempt, now=T0 + 10 + number, artifact="a" * 64, facts={"n": number})
    granted(ledger, accepted(ledger))

    found = ended_attempts(ledger.database, T0 + 11, 2)

    assert [(one.ended_at, one.outcome, one.cause, one.facts) for one in found] == [
        (T0 + 11, Outcome.SUCCEEDED, "", {"n": 1}),
        (T0 + 12, Outcome.SUCCEEDED, "", {"n": 2}),
    ]
    assert all(isinstance(one, EndedAttempt) for one in found)


def test_attempts_of_an_unknown_job_are_refused(ledger: Ledger) -> None:
    row = {"job": str(uuid.uuid4()), "number": 1, "lease_owner": BOB, "started_at": T0, "outcome": "running"}

    with pytest.raises(IntegrityError):
        ledger.database.write(lambda connection: connection.execute(insert(attempts_table).values(row)))


@pytest.mark.service
def test_given_a_value_that_fits_no_column_of_mariadb_then_it_is_not_taken_for_an_outage(
    mariadb: MariaDb, open_at: Callable[[str], Ledger]
) -> None:
    ledger = open_at(mariadb.fresh_database())
    migrate(ledger.database)

    with pytest.raises(DataError, match="Data too long for column 'source'"):
        ledger.jobs.accept(a_job(source="sources/acme/" + "x" * 300))


def test_given_a_sqlite_ledger_locked_by_somebody_then_the_error_says_what_to_do(
    tmp_path: Path, open_at: Callable[[str], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.database.engine.BUSY_TIMEOUT", 0.2)
    ledger, other = (open_at(f"sqlite:///{tmp_path}/ledger.db") for _ in range(2))
    migrate(ledger.database)

    with (
        other.database.engine.connect() as connection,
        connection.begin(),
        pytest.raises(LedgerUnavailable) as caught,
    ):
        ledger.jobs.accept(a_job())

    assert str(caught.value) == (
        "The ledger's database does not answer. Check BULKHEAD_LEDGER_URL and the server, or run `bulkhead doctor`. "
        "(database is locked)"
    )


@pytest.mark.service
def test_given_a_mariadb_that_stops_and_comes_back_then_the_ledger_says_so_and_recovers(
    mariadb: MariaDb, open_at: Callable[[str], Ledger]
) -> None:
    ledger = open_at(mariadb.fresh_database())
    migrate(ledger.database)
    job = accepted(ledger)

    mariadb.process.kill()
    calls: list[Callable[[], object]] = [
        lambda: ledger.jobs.find(job.id),
        lambda: ledger.jobs.cancel(job.id, T0, error={}),
    ]
    for call in calls:
        with pytest.raises(LedgerUnavailable) as caught:
            call()
        assert str(caught.value).startswith(
            "The ledger's database does not answer. Check BULKHEAD_LEDGER_URL and the server, "
            "or run `bulkhead doctor`. ((2"
        )
    with pytest.raises(LedgerUnavailable):
        check_migrated(ledger.database)

    mariadb.process.start()
    mariadb.process.wait_ready()
    assert found(ledger, job) == job


# Migrations


def test_an_empty_database_is_migrated_and_migrating_again_changes_nothing(
    url: str, open_at: Callable[[str], Ledger]
) -> None:
    ledger = open_at(url)
    with pytest.raises(
        SchemaOutdated, match=r"^The tables in the database are not those of this version\. Run `bulkhead"
    ):
        check_migrated(ledger.database)

    migrate(ledger.database)
    job = accepted(ledger)
    migrate(ledger.database)

    check_migrated(ledger.database)
    assert found(ledger, job) == job


def test_given_4_processes_that_migrate_at_the_same_time_then_all_succeed(url: str) -> None:
    script = (
        "import os\n"
        "from tasks.database.engine import Database\n"
        "from tasks.database.migrate import check_migrated, migrate\n"
        "database = Database(os.environ['BULKHEAD_LEDGER_URL']); migrate(database); check_migrated(database)"
    )
    environment = {**os.environ, "BULKHEAD_LEDGER_URL": url, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script], env=environment, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]

    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 4
    assert [process.returncode for process in processes] == [0] * 4


@pytest.mark.service
def test_given_another_migration_that_takes_longer_than_an_answer_may_then_it_is_waited_for(
    mariadb: MariaDb, open_at: Callable[[str], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = mariadb.fresh_database()
    other = open_at(url).database.engine
    monkeypatch.setattr(database_module, "IO_TIMEOUT", 1)
    ledger = open_at(url)

    with other.connect() as connection:
        connection.execute(text("SELECT GET_LOCK('bulkhead-migration', 0)"))
        migrating = threading.Thread(target=migrate, args=(ledger.database,))
        migrating.start()
        migrating.join(2)
        assert migrating.is_alive()
        connection.execute(text("SELECT RELEASE_LOCK('bulkhead-migration')"))
    migrating.join()

    check_migrated(ledger.database)


def test_the_migrations_make_exactly_the_tables_that_the_code_declares(ledger: Ledger) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with ledger.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


@pytest.mark.service
def test_mariadb_compares_ids_and_names_byte_by_byte(mariadb: MariaDb, open_at: Callable[[str], Ledger]) -> None:
    ledger = open_at(mariadb.fresh_database())
    migrate(ledger.database)
    query = text(
        "SELECT DISTINCT table_collation FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_name IN ('jobs', 'attempts', 'requests')"
    )

    with ledger.database.engine.connect() as connection:
        assert connection.execute(query).scalars().all() == ["utf8mb4_bin"]


def test_a_sqlite_ledger_may_lie_in_a_folder_with_odd_characters(
    tmp_path: Path, open_at: Callable[[str], Ledger]
) -> None:
    ledger = open_at(f"sqlite:///{tmp_path}/100% odd/ledger.db")

    migrate(ledger.database)

    assert ledger.database.read(lambda connection: connection.execute(select(jobs_table)).all()) == []


def test_opening_a_ledger_alone_connects_to_nothing(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/deep/ledger.db")

    assert not (tmp_path / "deep" / "ledger.db").exists()
    database.close()


def test_given_jobs_that_name_a_webhook_then_each_end_is_due_until_it_is_told_and_again_after_a_replay(
    ledger: Ledger,
) -> None:
    job = accepted(ledger, webhook="https://portal.example.com/", webhook_pending=True)
    silent = accepted(ledger)
    assert ledger.jobs.pending_webhooks() == []

    for each in (job, silent):
        assert ledger.attempts.fail(each.id, granted(ledger, each).attempt, now=T0 + 1, error={})
    assert [due.id for due in ledger.jobs.pending_webhooks()] == [job.id]
    ledger.jobs.mark_webhook_published(job.id)
    assert ledger.jobs.pending_webhooks() == []

    for each in (job, silent):
        assert ledger.jobs.replay(each.id, T0 + 2)
    ledger.jobs.mark_webhook_published(job.id)  # word of the former end, come late
    for each in (job, silent):
        assert ledger.attempts.succeed(each.id, granted(ledger, each, now=T0 + 3).attempt, now=T0 + 4, artifact="a")
    assert [due.id for due in ledger.jobs.pending_webhooks()] == [job.id]


def test_given_a_job_that_is_adopted_then_its_webhook_is_kept(ledger: Ledger) -> None:
    job = granted(ledger, a_job(webhook="https://portal.example.com/", webhook_pending=True))

    assert (found(ledger, job).webhook, found(ledger, job).webhook_pending) == ("https://portal.example.com/", True)
