"""Retention: what is old enough to be forgotten, by the settings' days."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from tasks.jobs import FINAL, Job, Ledger
from tasks.jobs.removal import remove_job, source_job_id
from tasks.renders import artifact_prefix
from tasks.settings import Settings
from tasks.storage import Store

DAY = 24 * 3600.0

# Jobs looked up at a time.
BATCH_SIZE = 500

# Seconds that one round may take, so that sweeps are not held up; the next round goes on.
TIME_BUDGET = 30.0


@dataclass
class RemovedCounts:
    """How many jobs, outputs of jobs that stay, and drawings of jobs that stay were removed."""

    jobs: int = 0
    outputs: int = 0
    sources: int = 0


def remove_expired(
    ledger: Ledger, store: Store, settings: Settings, now: float, clock: Callable[[], float] = time.monotonic
) -> RemovedCounts:
    """Remove what the settings say is too old at `now` (seconds since the epoch), for half a minute at most.

    Raises LedgerUnavailable and StoreError.
    """
    deadline = clock() + TIME_BUDGET
    removed = RemovedCounts()

    def in_time(jobs: Iterator[Job]) -> Iterator[Job]:
        for job in jobs:
            if clock() > deadline:
                return
            yield job

    if settings.retain_jobs_days is not None:
        for job in in_time(_finished_before(ledger, now - settings.retain_jobs_days * DAY)):
            remove_job(ledger, store, job)
            removed.jobs += 1
    if settings.retain_outputs_days is not None:
        for job in in_time(_finished_before(ledger, now - settings.retain_outputs_days * DAY, with_outputs=True)):
            _remove_outputs(ledger, store, job)
            removed.outputs += 1
    if settings.retain_sources_days is not None:
        for job in in_time(_with_source(ledger, store, now - settings.retain_sources_days * DAY)):
            store.delete(job.source)
            removed.sources += 1
    return removed


def _finished_before(ledger: Ledger, before: float, *, with_outputs: bool = False) -> Iterator[Job]:
    """Jobs that were settled before that time; each is expected to be gone from the answer once it was handled."""
    while found := ledger.jobs.finished_before(before, with_outputs=with_outputs, limit=BATCH_SIZE):
        yield from found


def _remove_outputs(ledger: Ledger, store: Store, job: Job) -> None:
    ledger.jobs.clear_artifact(job.id)
    if job.artifact and not ledger.jobs.is_artifact_in_use(job.tenant, job.artifact):
        store.delete_tree(artifact_prefix(job.tenant, job.artifact))


def _with_source(ledger: Ledger, store: Store, before: float) -> Iterator[Job]:
    """Jobs that were settled before that time and whose own drawing is still there, which nobody else refers to."""
    keys = store.list("sources")
    while batch := list(islice(keys, BATCH_SIZE)):
        for job in ledger.jobs.find_all([job_id for key in batch if (job_id := source_job_id(key))]):
            if job.state in FINAL and job.updated_at < before and not ledger.jobs.has_open_job(job.source):
                yield job
