"""One attempt at a job: claim it, renew its lease during the work, and record its result in the ledger.

    def work(run: JobRun) -> Result: ...

    run_job(worker_context(), job, work)

`run_job` returns when the job has succeeded, and raises every other outcome: `workers.runtime.outcomes` lists them.
"""

import threading
from collections.abc import Callable

from celery.exceptions import Ignore, Reject, Retry
from celery.utils.log import get_logger

from tasks.jobs import Claimed, IdConflict, Job, Leased, Rerouted
from tasks.observability.logs import log_context
from tasks.observability.tracing import span
from workers.crash.flight_recorder import record_attempt
from workers.runtime.attempt import JobRun, Result
from workers.runtime.claim import claim_job
from workers.runtime.outcomes import raise_final_state
from workers.runtime.recording import execute
from workers.runtime.worker_context import WorkerContext

logger = get_logger(__name__)


def run_job(context: WorkerContext, job: Job, work: Callable[[JobRun], Result]) -> None:
    """Make one attempt at `job`, which is added to the ledger if it is not there. Raises its outcome, see above."""
    claim = claim_job(context, job)
    if isinstance(claim, Leased):
        logger.warning(
            "A worker (%s) still holds the lease on job %s. This message is acknowledged; maintenance publishes "
            "the job again if the lease expires.",
            claim.job.lease_owner,
            job.id,
        )
        raise Ignore
    if isinstance(claim, Rerouted):
        raise Retry(f"The job continues in the queue {claim.job.queue}.")
    if isinstance(claim, IdConflict):
        raise Reject("the id belongs to another job", requeue=False)
    if not isinstance(claim, Claimed):
        logger.info("Job %s is already %s.", job.id, claim.job.state)
        raise_final_state(claim.job)
        return
    claimed = claim.job
    with (
        span("attempt", claimed.traceparent, job=claimed.id, attempt=claimed.attempt) as traceparent,
        log_context(job=claimed.id, attempt=claimed.attempt, traceparent=traceparent),
    ):
        _run(context, claimed, work)


def _run(context: WorkerContext, job: Job, work: Callable[[JobRun], Result]) -> None:
    with record_attempt(context.settings.var, context.lease_owner, job=job.id, attempt=job.attempt) as recorder:
        run = JobRun(context, job, recorder)
        stopped = threading.Event()
        renewal = threading.Thread(target=run.renew_lease_until, args=(stopped,), daemon=True, name="lease")
        renewal.start()
        try:
            execute(run, work)
        finally:
            stopped.set()
            renewal.join()
