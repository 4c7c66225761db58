"""Reconciliation of ledger and store: what one of them has and the other one does not know.

They differ after a crash between two steps, and after one of them was restored from a backup of another moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from tasks.jobs import OPEN, Job, Ledger, State
from tasks.jobs.messages import render_message
from tasks.jobs.removal import source_job_id
from tasks.renders import artifact_key, artifact_prefix
from tasks.storage import MANIFEST, Store

# Jobs read at a time.
PAGE_SIZE = 500

# Seconds between two looks, before anything is removed: longer than a request takes from its drawing in the store to
# its job in the ledger, and than a worker takes from its outputs in the store to their name in the ledger.
RECHECK_DELAY = 30.0


@dataclass(frozen=True, slots=True)
class Differences:
    """`outputs` (prefixes) and `sources` (keys) of the store that no job refers to, and ids of jobs that succeeded but
    whose outputs are gone: `rendered_again` have their drawing still, `lost` have not.
    """

    orphaned_outputs: tuple[str, ...] = ()
    orphaned_sources: tuple[str, ...] = ()
    rerenderable: tuple[str, ...] = ()
    unrecoverable: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.orphaned_outputs, self.orphaned_sources, self.rerenderable, self.unrecoverable))

    def intersection(self, later: "Differences") -> "Differences":
        """What was there at both looks."""
        names = self.__dataclass_fields__
        return Differences(*(_intersection(getattr(self, name), getattr(later, name)) for name in names))


def compare(ledger: Ledger, store: Store, secret: str) -> Differences:
    """Look through all of ledger and store. Holds the names of all outputs in memory: some 200 bytes each.

    Raises LedgerUnavailable and StoreError.
    """
    whole, stored = _outputs(store)
    known = {_expected_prefix(job, secret) for job in _jobs(ledger, *OPEN)}
    missing = []
    for job in _jobs(ledger, State.SUCCEEDED):
        if job.artifact:
            prefix = artifact_prefix(job.tenant, job.artifact)
            known.add(prefix)
            if prefix not in whole and not store.exists(f"{prefix}/{MANIFEST}"):  # it may be newer than the listing
                missing.append(job)
    kept = {job.id: store.exists(job.source) for job in missing}
    return Differences(
        orphaned_outputs=tuple(sorted(stored - known)),
        orphaned_sources=tuple(_orphaned_sources(ledger, store)),
        rerenderable=tuple(job.id for job in missing if kept[job.id]),
        unrecoverable=tuple(job.id for job in missing if not kept[job.id]),
    )


def repair(ledger: Ledger, store: Store, differences: Differences, now: float) -> None:
    """Remove what nobody refers to, and have maintenance publish again what can be rendered again.

    `found` should be what two looks agree on, PAUSE apart. Raises LedgerUnavailable and StoreError.
    """
    for prefix in differences.orphaned_outputs:
        store.delete_tree(prefix)
    for key in differences.orphaned_sources:
        store.delete(key)
    for job_id in differences.rerenderable:
        ledger.jobs.replay(job_id, now, frozenset({State.SUCCEEDED}))


def _intersection(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    known = set(second)
    return tuple(each for each in first if each in known)


def _outputs(store: Store) -> tuple[set[str], set[str]]:
    """Prefixes of the outputs that are whole, and of all that there are."""
    whole, stored = set(), set()
    for key in store.list("artifacts"):
        prefix = "/".join(key.split("/")[:3])
        stored.add(prefix)
        if key == f"{prefix}/{MANIFEST}":
            whole.add(prefix)
    return whole, stored


def _orphaned_sources(ledger: Ledger, store: Store) -> Iterator[str]:
    """Drawings that the intake stored for a job that does not exist, and to which no other job refers."""
    for key in store.list("sources"):
        job_id = source_job_id(key)
        if job_id and ledger.jobs.find(job_id) is None and not ledger.jobs.is_source_in_use(key):
            yield key


def _expected_prefix(job: Job, secret: str) -> str:
    """Where the outputs of an open job will lie; nowhere yet before its drawing was read."""
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
