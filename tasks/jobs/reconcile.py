"""Reconciliation of ledger and store: finds and repairs their differences.

They differ after a crash between two steps, and after one of them was restored from a backup of another time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from tasks.jobs import OPEN, Job, Ledger, State
from tasks.jobs.messages import render_message
from tasks.jobs.retention import source_job_id
from tasks.renders import artifact_key, artifact_prefix
from tasks.storage import MANIFEST, Store

# Jobs per query.
PAGE_SIZE = 500

# Seconds between two comparisons, before anything is removed. Longer than an upload takes from the drawing in the store
# to the job in the ledger, and than a worker takes from the outputs in the store to their name in the ledger.
RECHECK_DELAY = 30.0


@dataclass(frozen=True, slots=True)
class Differences:
    """Outputs (prefixes) and sources (keys) in the store that no job refers to, and ids of succeeded jobs whose outputs
    are missing: the drawings of the `rerenderable` ones are still there, those of the `unrecoverable` ones are not.
    """

    orphaned_outputs: tuple[str, ...] = ()
    orphaned_sources: tuple[str, ...] = ()
    rerenderable: tuple[str, ...] = ()
    unrecoverable: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.orphaned_outputs, self.orphaned_sources, self.rerenderable, self.unrecoverable))

    def intersection(self, later: "Differences") -> "Differences":
        """The differences that both comparisons found."""
        names = self.__dataclass_fields__
        return Differences(*(_intersection(getattr(self, name), getattr(later, name)) for name in names))


def compare(ledger: Ledger, store: Store, secret: str) -> Differences:
    """Compare the whole ledger with the whole store. Holds the names of all outputs in memory, about 200 bytes each.

    Raises LedgerError and StoreError.
    """
    complete, stored = _outputs(store)
    expected = {_expected_prefix(job, secret) for job in _jobs(ledger, *OPEN)}
    missing = []
    for job in _jobs(ledger, State.SUCCEEDED):
        if job.artifact:
            prefix = artifact_prefix(job.tenant, job.artifact)
            expected.add(prefix)
            if prefix not in complete and not store.exists(f"{prefix}/{MANIFEST}"):  # it may be newer than the list
                missing.append(job)
    has_source = {job.id: store.exists(job.source) for job in missing}
    return Differences(
        orphaned_outputs=tuple(sorted(stored - expected)),
        orphaned_sources=tuple(_orphaned_sources(ledger, store)),
        rerenderable=tuple(job.id for job in missing if has_source[job.id]),
        unrecoverable=tuple(job.id for job in missing if not has_source[job.id]),
    )


def repair(ledger: Ledger, store: Store, differences: Differences, now: float) -> None:
    """Remove orphaned outputs and sources, and replay rerenderable jobs: maintenance publishes them.

    `differences` should be the intersection of two comparisons, RECHECK_DELAY apart. Raises LedgerError and StoreError.
    """
    for prefix in differences.orphaned_outputs:
        store.delete_tree(prefix)
    for key in differences.orphaned_sources:
        store.delete(key)
    for job_id in differences.rerenderable:
        ledger.jobs.replay(job_id, now, frozenset({State.SUCCEEDED}))


def _intersection(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    common = set(first) & set(second)
    return tuple(each for each in first if each in common)


def _outputs(store: Store) -> tuple[set[str], set[str]]:
    """Prefixes of the complete outputs, and of all outputs."""
    complete, stored = set(), set()
    for key in store.list("artifacts"):
        prefix = "/".join(key.split("/")[:3])
        stored.add(prefix)
        if key == f"{prefix}/{MANIFEST}":
            complete.add(prefix)
    return complete, stored


def _orphaned_sources(ledger: Ledger, store: Store) -> Iterator[str]:
    """Keys of uploaded drawings whose job does not exist and to which no other job refers."""
    for key in store.list("sources"):
        job_id = source_job_id(key)
        if job_id and ledger.jobs.find(job_id) is None and not ledger.jobs.is_source_in_use(key):
            yield key


def _expected_prefix(job: Job, secret: str) -> str:
    """The prefix of the future outputs of an open job; empty before its drawing was read."""
    try:
        options = render_message(job).options
    except ValidationError:  # accepted by another version
        return ""
    return artifact_prefix(job.tenant, artifact_key(secret, job.tenant, job.digest, options)) if job.digest else ""


def _jobs(ledger: Ledger, *states: State) -> Iterator[Job]:
    after = None
    while True:
        page = ledger.jobs.page(states=states, after=after, limit=PAGE_SIZE)
        yield from page.jobs
        if (after := page.next) is None:
            return
