"""Jobs, attempts and their states, and the decisions about them: pure functions of the ledger's contents.

accepted -> queued -> running -> succeeded | failed | dead | cancelled
              ^----------'        an attempt that crashed, or that requeued the job
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tasks.messaging.topology import LARGE, RENDER


class State(StrEnum):
    """The state of a job."""

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


# Cause of an attempt whose worker vanished. A crash report that arrives late may still explain it.
UNEXPLAINED = "worker-lost"

# Cause of an attempt that was running when a late crash report about an earlier attempt made the job dead.
JOB_ALREADY_DEAD = "job-already-dead"

# The cause of a crash that a larger memory limit may prevent.
OUT_OF_MEMORY = "out-of-memory"

# Crashes after which a job that ran out of memory in the large queue too is dead: more attempts would not help, and the
# workers of that queue are expensive.
MAX_LARGE_QUEUE_CRASHES = 2

# A job that loses every worker for no visible reason must end too, after as many losses as the broker's delivery limit.
# Requeued attempts (the store was unavailable, say) do not count.
MAX_WORKER_LOSSES = 20


@dataclass(frozen=True, slots=True)
class Job:
    """A request to render something. Times are seconds since the epoch, sizes are bytes."""

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
    """One attempt at a job by one worker child."""

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
    """The worker has the lease of `job`, whose `attempt` is the fencing token."""

    job: Job


@dataclass(frozen=True, slots=True)
class Leased:
    """Another worker holds an unexpired lease on the job."""

    job: Job


@dataclass(frozen=True, slots=True)
class Finished:
    """The job is in a final state: there is nothing left to do."""

    job: Job


@dataclass(frozen=True, slots=True)
class IdConflict:
    """The id belongs to a job of another tenant or with another source."""

    job: Job


@dataclass(frozen=True, slots=True)
class Rerouted:
    """The job now belongs to another queue: maintenance publishes it there."""

    job: Job


Claim = Claimed | Leased | Finished | IdConflict | Rerouted


def may_claim(job: Job, now: float, *, owner_is_dead: bool) -> bool:
    """Whether a new attempt may start: no worker has the lease, it has expired, or its owner is known to be dead."""
    if job.state is not State.RUNNING:
        return True
    return owner_is_dead or job.lease_expires_at is None or job.lease_expires_at <= now


def state_after_crash(*, crashes: int, worker_losses: int, max_crashes: int) -> State:
    """The state of a job after a crash. `crashes` are its own fault, `worker_losses` are not; both include this one."""
    return State.DEAD if crashes >= max_crashes or worker_losses >= MAX_WORKER_LOSSES else State.QUEUED


def queue_after_out_of_memory(*, crashes: int, queue: str, has_large_queue: bool) -> tuple[bool, str]:
    """Whether a job that ran out of memory is dead, and its next queue if it is not. `crashes` includes this one."""
    if queue == LARGE:
        return crashes >= MAX_LARGE_QUEUE_CRASHES, LARGE
    return False, LARGE if has_large_queue else queue


def is_stale(job: Job, now: float, *, republish_after: float, queue_depth: int, consumed_until: float | None) -> bool:
    """Whether the job's message must be published again.

    A running job is stale when its lease expired and its message was not published since. A waiting job is stale when
    `republish_after` seconds have passed and its message is no longer in its queue. That is known in three cases: the
    message was never published or was dropped; the queue is empty (`queue_depth`); or the workers, which take the
    oldest message first, have taken messages up to `consumed_until`, more than `republish_after` seconds after this one
    was published. A superfluous message does no harm: the claim detects it.
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
