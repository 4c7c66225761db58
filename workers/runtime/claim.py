"""Claims a job for an attempt, or tells why there is nothing to do."""

import time

from celery.utils.log import get_logger

from tasks.jobs import Claim, Claimed, Job, Leased
from tasks.jobs.routing import memory_limit_of
from workers.crash import crash_reports, explanation
from workers.crash.lost_workers import explain_loss, pop_lost_record
from workers.runtime.attempt import wait_for_ledger
from workers.runtime.extensions import revocation
from workers.runtime.worker_context import WorkerContext
from workers.sandbox.cgroup import read_memory
from workers.sandbox.process_identity import is_gone

logger = get_logger(__name__)

# Seconds. A job with a live lease may become free in a moment, when the crash of its owner is recorded. After this time
# the message is acknowledged; maintenance publishes the job again when the lease expires.
LEASED_TIMEOUT = 2.0

# Seconds between two claims. If the owner is gone in two claims in a row, its parent is gone as well: a live parent
# reports a crash within milliseconds.
LEASED_POLL_INTERVAL = 0.1


def claim_job(context: WorkerContext, job: Job) -> Claim:
    """Claim the job. Waits a moment if a lease is about to become free; see `wait_for_ledger`."""
    seen_gone: set[str] = set()

    def is_dead(owner: str) -> bool:
        """Whether the owner was gone in the previous claim already, so that its parent had time to report why."""
        if not is_gone(owner):
            return False
        was_gone = owner in seen_gone
        seen_gone.add(owner)
        return was_gone

    def claim() -> Claim:
        crash_reports.flush(context.settings.var, context.ledger)
        revocation.flush(context.settings.var, context.ledger)
        return context.ledger.attempts.claim(
            job,
            lease_owner=context.lease_owner,
            now=time.time(),
            lease=context.settings.lease,
            is_dead=is_dead,
        )

    deadline = time.monotonic() + LEASED_TIMEOUT
    while isinstance(answer := wait_for_ledger(claim), Leased) and time.monotonic() < deadline:
        time.sleep(LEASED_POLL_INTERVAL)
    if isinstance(answer, Claimed) and _report_lost_worker(context, answer.job):
        return wait_for_ledger(claim)  # the job may be dead now; otherwise this attempt is claimed anew
    return answer


def _report_lost_worker(context: WorkerContext, job: Job) -> bool:
    """Count the death of an earlier attempt that took its whole worker with it. Returns whether there was one."""
    lost = pop_lost_record(context.settings.var, job.id, job.attempt)
    death = explain_loss(lost[1], memory_limit_of(job.queue, context.settings)) if lost else None
    if lost is None or death is None:
        return False
    (owner, record), message = lost, explanation.format_crash(death, lost[1])
    host, pid, _started = owner.rsplit(":", 2)
    logger.error("Job %s: %s", job.id, message)
    wait_for_ledger(
        lambda: context.ledger.attempts.record_crash(
            job.id,
            host=host,
            pid=int(pid),
            cause=death.cause,
            job_at_fault=True,
            explanation=message,
            now=time.time(),
            facts=explanation.crash_facts(record, read_memory()),
        )
    )
    return True
