"""The states of a job and the decisions about it: pure functions of what the ledger holds.

accepted -> queued -> running -> succeeded | failed | dead | cancelled
              ^----------'        an attempt that died, or gave the job back
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tasks.messaging.topology import LARGE, RENDER


class State(StrEnum):
    """Where a job is."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.DEAD, State.CANCELLED})
OPEN = frozenset(State) - FINAL
WAITING = frozenset({State.ACCEPTED, State.QUEUED})
REPLAYABLE = frozenset({State.FAILED, State.DEAD, State.CANCELLED})


class Outcome(StrEnum):
    """How an attempt ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CRASHED = "crashed"
    REQUEUED = "requeued"
    CANCELLED = "cancelled"


# An attempt whose worker vanished without a word about why. A death note that comes late may still explain it.
UNEXPLAINED = "worker-lost"

# An attempt that was under way when word of an earlier one's death, the last one allowed, came late.
JOB_ALREADY_DEAD = "job-already-dead"

# The cause of death that a larger fence may help against.
OUT_OF_MEMORY = "out-of-memory"

# Deaths after which a job that was out of memory in the large lane, too, is not tried again: its own fault is proven,
# and that lane is dear.
MAX_LARGE_QUEUE_CRASHES = 2

# A job that loses every worker through no fault that anybody can see must end, too: as often as the broker would
# deliver its message. Attempts that were given back (the store was away) do not count.
MAX_WORKER_LOSSES = 20


@dataclass(frozen=True, slots=True)
class Job:
    """One request to do something. Times are seconds since the epoch, sizes are bytes."""

    id: str
    tenant: str
    state: State
    source: str
    filename: str
    options: dict[str, Any]
    created_at: float
    updated_at: float
    finished_at: float | None = None
    digest: str | None = None
    size: int | None = None
    plan: dict[str, Any] | None = None
    artifact: str | None = None
    error: dict[str, Any] | None = None
    traceparent: str | None = None
    attempt: int = 0
    crashes: int = 0
    worker_losses: int = 0
    lease_owner: str | None = None
    lease_expires_at: float | None = None
    published_at: float | None = None
    publications: int = 0
    queue: str = RENDER
    webhook: str | None = None
    webhook_pending: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a job by one worker child."""

    job: str
    number: int
    lease_owner: str
    started_at: float
    outcome: Outcome
    ended_at: float | None = None
    cause: str | None = None
    explanation: str | None = None
    facts: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """The claim holds: work on `job`, whose `attempt` is the fencing number."""

    job: Job


@dataclass(frozen=True, slots=True)
class Leased:
    """Another worker holds a live lease on the job."""

    job: Job


@dataclass(frozen=True, slots=True)
class Finished:
    """There is nothing left to do."""

    job: Job


@dataclass(frozen=True, slots=True)
class IdConflict:
    """The id belongs to another job: of another tenant, or of another source."""

    job: Job


@dataclass(frozen=True, slots=True)
class Rerouted:
    """The job goes on in another lane: maintenance publishes it there."""

    job: Job


Claim = Claimed | Leased | Finished | IdConflict | Rerouted


def may_claim(job: Job, now: float, *, owner_is_dead: bool) -> bool:
    """Whether a new attempt may begin: nobody holds the job, the lease ran out, or its holder is known to be gone."""
    if job.state is not State.RUNNING:
        return True
    return owner_is_dead or job.lease_expires_at is None or job.lease_expires_at <= now


def state_after_crash(*, crashes: int, worker_losses: int, max_crashes: int) -> State:
    """What becomes of a job whose attempt died: `deaths` of its own making, `losses` of others', this one included."""
    return State.DEAD if crashes >= max_crashes or worker_losses >= MAX_WORKER_LOSSES else State.QUEUED


def queue_after_out_of_memory(*, crashes: int, queue: str, has_large_queue: bool) -> tuple[bool, str]:
    """Whether a job that was out of memory is hopeless, and the queue it goes on in if it is not.

    `deaths` of its own making, this one included; `large_lane` tells whether there is one.
    """
    if queue == LARGE:
        return crashes >= MAX_LARGE_QUEUE_CRASHES, LARGE
    return False, LARGE if has_large_queue else queue


def is_stale(job: Job, now: float, *, republish_after: float, queue_depth: int, consumed_until: float | None) -> bool:
    """Whether the job's message must be published again.

    A running job is overdue when its lease ran out and it was not published since. A job that nobody picked up is
    overdue when `patience` seconds have passed and its message is not in its queue any more: because it was never
    published or its message was let go, because the queue is empty (`waiting` messages), or because the workers, who
    take the oldest message first, have `reached` what was published `patience` seconds after it. A message too many
    does no harm: the claim tells it apart.
    """
    if job.state not in OPEN:
        return False
    if job.state is State.RUNNING:
        if job.lease_expires_at is None or job.lease_expires_at > now:
            return False
        if job.published_at is None or job.published_at <= job.lease_expires_at:
            return True
    if job.published_at is None:
        return now - job.created_at > republish_after
    passed = consumed_until is not None and consumed_until > job.published_at + republish_after
    return (queue_depth == 0 or passed) and now - job.published_at > republish_after
