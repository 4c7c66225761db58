"""What is forgotten after how many days, and what is kept because somebody else needs it."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from tasks.jobs import Job, Ledger, State
from tasks.jobs.removal import source_job_id
from tasks.jobs.retention import DAY, TIME_BUDGET, RemovedCounts, remove_expired
from tasks.renders import artifact_prefix, source_key
from tasks.settings import Settings
from tasks.storage import MANIFEST, Store

NOW = 1_800_000_000.0
OLD = NOW - 8 * DAY
NEW = NOW - 6 * DAY


def add(ledger: Ledger, store: Store, at: float, artifact: str | None = None, **fields: Any) -> Job:
    """A settled job with its source and, if named, its outputs."""
    job_id = str(uuid4())
    job = Job(job_id, "acme", State.SUCCEEDED, source_key("acme", job_id), "", {}, created_at=at, updated_at=at)
    job = replace(job, finished_at=at, artifact=artifact, **fields)
    ledger.jobs.accept(job)
    store.put(job.source, b"a drawing")
    if artifact:
        store.put(f"{artifact_prefix('acme', artifact)}/{MANIFEST}", b"{}")
    return job


def round_of(ledger: Ledger, store: Store, **days: float) -> RemovedCounts:
    settings = Settings(**{f"retain_{name}_days": number for name, number in days.items()})  # type: ignore[arg-type]
    return remove_expired(ledger, store, settings, NOW)


def ids(ledger: Ledger) -> set[str]:
    return {job.id for job in ledger.jobs.page().jobs}


def objects(store: Store) -> set[str]:
    return {*store.list("sources"), *store.list("artifacts")}


def outputs(artifact: str) -> str:
    return f"{artifact_prefix('acme', artifact)}/{MANIFEST}"


def test_given_no_setting_then_nothing_is_ever_removed(ledger: Ledger, store: Store) -> None:
    add(ledger, store, OLD, "a" * 64)
    before = objects(store)

    assert round_of(ledger, store) == RemovedCounts()
    assert (len(ids(ledger)), objects(store)) == (1, before)


def test_given_old_jobs_then_they_are_forgotten_with_all_they_left_and_open_ones_and_new_ones_are_not(
    ledger: Ledger, store: Store
) -> None:
    add(ledger, store, OLD, "a" * 64)
    add(ledger, store, OLD, state=State.FAILED)
    waiting, new = add(ledger, store, OLD, state=State.QUEUED), add(ledger, store, NEW, "b" * 64)

    assert round_of(ledger, store, jobs=7) == RemovedCounts(jobs=2)

    assert ids(ledger) == {waiting.id, new.id}
    assert objects(store) == {waiting.source, new.source, outputs("b" * 64)}


def test_given_outputs_that_a_newer_job_has_too_then_they_are_kept_with_that_one(ledger: Ledger, store: Store) -> None:
    old, new = add(ledger, store, OLD, "a" * 64), add(ledger, store, NEW, "a" * 64)
    alone = add(ledger, store, OLD, "b" * 64)

    assert round_of(ledger, store, outputs=7) == RemovedCounts(outputs=2)

    assert ids(ledger) == {old.id, new.id, alone.id}
    assert [found.artifact for found in ledger.jobs.find_all([old.id, alone.id])] == [None, None]
    assert {key for key in objects(store) if key.startswith("artifacts/")} == {outputs("a" * 64)}
    assert round_of(ledger, store, outputs=7) == RemovedCounts()


def test_given_old_drawings_then_only_those_are_removed_that_the_intake_stored_for_a_settled_job(
    ledger: Ledger, store: Store
) -> None:
    old, new = add(ledger, store, OLD), add(ledger, store, NEW)
    waiting, asked_again = add(ledger, store, OLD, state=State.QUEUED), add(ledger, store, OLD)
    add(ledger, store, NEW, state=State.RUNNING, source=asked_again.source)
    store.put("sources/acme/library/pump.dxf", b"kept by its owner")

    assert round_of(ledger, store, sources=7) == RemovedCounts(sources=1)

    assert set(store.list("sources")) == {
        new.source,
        waiting.source,
        asked_again.source,
        "sources/acme/library/pump.dxf",
    }
    assert old.id in ids(ledger)


def test_given_more_than_fits_into_half_a_minute_then_the_next_round_goes_on(ledger: Ledger, store: Store) -> None:
    for _ in range(5):
        add(ledger, store, OLD)
    ticks = iter([0.0, 1.0, 2.0, TIME_BUDGET + 1])

    removed = remove_expired(ledger, store, Settings(retain_jobs_days=7), NOW, clock=lambda: next(ticks))

    assert removed == RemovedCounts(jobs=2)
    assert round_of(ledger, store, jobs=7) == RemovedCounts(jobs=3)


@pytest.mark.parametrize(
    ("key", "job"),
    [
        ("sources/acme/0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10", "0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10"),
        ("sources/acme/0B9A3C1E-6C43-4C05-9A65-5D2E3B1F7A10", None),
        ("sources/acme/pump.dxf", None),
        ("sources/acme/library/0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10", None),
    ],
)
def test_a_source_tells_which_job_the_intake_stored_it_for(key: str, job: str | None) -> None:
    assert source_job_id(key) == job
