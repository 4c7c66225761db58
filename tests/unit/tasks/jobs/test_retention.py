"""Removing expired jobs, outputs and sources, except those that other jobs need."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from tasks.jobs import Job, Ledger, State
from tasks.jobs.retention import DAY, TIME_BUDGET, RemovedCounts, remove_expired, source_job_id
from tasks.renders import artifact_prefix, source_key
from tasks.settings import Settings
from tasks.storage import MANIFEST, Store

NOW = 1_800_000_000.0
OLD = NOW - 8 * DAY
NEW = NOW - 6 * DAY


def add(ledger: Ledger, store: Store, at: float, artifact: str | None = None, **fields: Any) -> Job:
    """Add a finished job with its source and, if `artifact` is given, its outputs."""
    job_id = str(uuid4())
    job = Job(job_id, "acme", State.SUCCEEDED, source_key("acme", job_id), "", {}, created_at=at, updated_at=at)
    job = replace(job, finished_at=at, artifact=artifact, **fields)
    ledger.jobs.accept(job)
    store.put(job.source, b"a drawing")
    if artifact:
        store.put(f"{artifact_prefix('acme', artifact)}/{MANIFEST}", b"{}")
    return job


def run(ledger: Ledger, store: Store, **days: float) -> RemovedCounts:
    settings = Settings(**{f"retain_{name}_days": number for name, number in days.items()})  # type: ignore[arg-type]
    return remove_expired(ledger, store, settings, NOW)


def ids(ledger: Ledger) -> set[str]:
    return {job.id for job in ledger.jobs.page().jobs}


def objects(store: Store) -> set[str]:
    return {*store.list("sources"), *store.list("artifacts")}


def outputs(artifact: str) -> str:
    return f"{artifact_prefix('acme', artifact)}/{MANIFEST}"


def test_given_no_setting_then_nothing_is_removed(ledger: Ledger, store: Store) -> None:
    add(ledger, store, OLD, "a" * 64)
    before = objects(store)

    assert run(ledger, store) == RemovedCounts()
    assert (len(ids(ledger)), objects(store)) == (1, before)


def test_given_old_jobs_then_they_are_removed_with_their_objects_and_open_and_new_ones_are_kept(
    ledger: Ledger, store: Store
) -> None:
    add(ledger, store, OLD, "a" * 64)
    add(ledger, store, OLD, state=State.FAILED)
    waiting, new = add(ledger, store, OLD, state=State.QUEUED), add(ledger, store, NEW, "b" * 64)

    assert run(ledger, store, jobs=7) == RemovedCounts(jobs=2)

    assert ids(ledger) == {waiting.id, new.id}
    assert objects(store) == {waiting.source, new.source, outputs("b" * 64)}


def test_given_outputs_that_a_newer_job_shares_then_they_are_kept(ledger: Ledger, store: Store) -> None:
    old, new = add(ledger, store, OLD, "a" * 64), add(ledger, store, NEW, "a" * 64)
    alone = add(ledger, store, OLD, "b" * 64)

    assert run(ledger, store, outputs=7) == RemovedCounts(outputs=2)

    assert ids(ledger) == {old.id, new.id, alone.id}
    assert [job.artifact for job in ledger.jobs.find_all([old.id, alone.id])] == [None, None]
    assert {key for key in objects(store) if key.startswith("artifacts/")} == {outputs("a" * 64)}
    assert run(ledger, store, outputs=7) == RemovedCounts()


def test_given_old_drawings_then_only_those_uploaded_for_a_finished_job_are_removed(
    ledger: Ledger, store: Store
) -> None:
    old, new = add(ledger, store, OLD), add(ledger, store, NEW)
    waiting, reused = add(ledger, store, OLD, state=State.QUEUED), add(ledger, store, OLD)
    add(ledger, store, NEW, state=State.RUNNING, source=reused.source)
    store.put("sources/acme/library/pump.dxf", b"put there by its owner")

    assert run(ledger, store, sources=7) == RemovedCounts(sources=1)

    assert set(store.list("sources")) == {
        new.source,
        waiting.source,
        reused.source,
        "sources/acme/library/pump.dxf",
    }
    assert old.id in ids(ledger)


def test_given_more_jobs_than_the_time_budget_allows_then_the_next_run_continues(ledger: Ledger, store: Store) -> None:
    for _ in range(5):
        add(ledger, store, OLD)
    ticks = iter([0.0, 1.0, 2.0, TIME_BUDGET + 1])

    removed = remove_expired(ledger, store, Settings(retain_jobs_days=7), NOW, clock=lambda: next(ticks))

    assert removed == RemovedCounts(jobs=2)
    assert run(ledger, store, jobs=7) == RemovedCounts(jobs=3)


@pytest.mark.parametrize(
    ("key", "job"),
    [
        ("sources/acme/0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10", "0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10"),
        ("sources/acme/0B9A3C1E-6C43-4C05-9A65-5D2E3B1F7A10", None),
        ("sources/acme/pump.dxf", None),
        ("sources/acme/library/0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10", None),
    ],
)
def test_a_source_key_contains_the_id_of_the_job_that_it_was_uploaded_for(key: str, job: str | None) -> None:
    assert source_job_id(key) == job
