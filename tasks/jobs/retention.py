"""Retention: removing jobs, and the outputs and sources that are older than the settings allow."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from tasks.jobs import FINAL, Job, Ledger
from tasks.renders import artifact_prefix, source_key
from tasks.settings import Settings
from tasks.storage import Store

DAY = 24 * 3600.0

# Jobs per query.
BATCH_SIZE = 500

# Seconds per run, so that sweeps are not delayed; the next run continues.
TIME_BUDGET = 30.0


@dataclass
class RemovedCounts:
    """The number of removed jobs, and of removed outputs and sources whose job remains."""

    jobs: int = 0
    outputs: int = 0
    sources: int = 0


def remove_expired(
    ledger: Ledger, store: Store, settings: Settings, now: float, clock: Callable[[], float] = time.monotonic
) -> RemovedCounts:
    """Remove everything that has expired at `now` (seconds since the epoch), within TIME_BUDGET.

    Raises LedgerError and StoreError.
    """
    deadline = clock() + TIME_BUDGET
    removed = RemovedCounts()

    def within_budget(jobs: Iterator[Job]) -> Iterator[Job]:
        for job in jobs:
            if clock() > deadline:
                return
            yield job

    if settings.retain_jobs_days is not None:
        for job in within_budget(_finished_before(ledger, now - settings.retain_jobs_days * DAY)):
            remove_job(ledger, store, job)
            removed.jobs += 1
    if settings.retain_outputs_days is not None:
        for job in within_budget(_finished_before(ledger, now - settings.retain_outputs_days * DAY, with_outputs=True)):
            _remove_outputs(ledger, store, job)
            removed.outputs += 1
    if settings.retain_sources_days is not None:
        for job in within_budget(_with_expired_source(ledger, store, now - settings.retain_sources_days * DAY)):
            store.delete(job.source)
            removed.sources += 1
    return removed


def remove_job(ledger: Ledger, store: Store, job: Job) -> None:
    """Remove a finished job with its source and outputs, except those that another job refers to.

    The ledger comes first: after a crash in between, `bulkhead reconcile` finds what is left in the store.
    """
    ledger.jobs.remove(job.id)
    _remove_unused_artifact(ledger, store, job)
    if not ledger.jobs.is_source_in_use(job.source):
        store.delete(job.source)


def source_job_id(key: str) -> str | None:
    """Id of the job that this source was uploaded for; None for a source that somebody else put into the store."""
    _sources, tenant, *name = key.split("/")
    if len(name) != 1:
        return None
    try:
        job_id = str(UUID(name[0]))
    except ValueError:
        return None
    return job_id if source_key(tenant, job_id) == key else None


def _finished_before(ledger: Ledger, before: float, *, with_outputs: bool = False) -> Iterator[Job]:
    """Jobs that finished before that time. Handling a job must remove it from the result of the next query."""
    while jobs := ledger.jobs.finished_before(before, with_outputs=with_outputs, limit=BATCH_SIZE):
        yield from jobs


def _remove_outputs(ledger: Ledger, store: Store, job: Job) -> None:
    ledger.jobs.clear_artifact(job.id)
    _remove_unused_artifact(ledger, store, job)


def _remove_unused_artifact(ledger: Ledger, store: Store, job: Job) -> None:
    if job.artifact and not ledger.jobs.is_artifact_in_use(job.tenant, job.artifact):
        store.delete_tree(artifact_prefix(job.tenant, job.artifact))


def _with_expired_source(ledger: Ledger, store: Store, before: float) -> Iterator[Job]:
    """Jobs that finished before that time, whose uploaded source still exists and is used by no open job."""
    keys = store.list("sources")
    while batch := list(islice(keys, BATCH_SIZE)):
        for job in ledger.jobs.find_all([job_id for key in batch if (job_id := source_job_id(key))]):
            if job.state in FINAL and job.updated_at < before and not ledger.jobs.has_open_job(job.source):
                yield job
