"""Runs the work of an attempt and records its outcome in the ledger, before the outcome is raised."""

import time
from collections.abc import Callable

from celery.exceptions import Ignore, Reject, Retry
from celery.utils.log import get_logger

from tasks.errors import JobFailed
from tasks.jobs import State
from tasks.storage import StoreError
from workers.crash import explanation
from workers.runtime.attempt import JobError, JobRun, LeaseLost, Requeue, Result
from workers.runtime.outcomes import JobDead, raise_final_state
from workers.sandbox.causes import Cause, Death
from workers.sandbox.cgroup import read_memory
from workers.sandbox.errors import SandboxUnavailable
from workers.sandbox.runner import BodyFailed, ProcessDied

logger = get_logger(__name__)


def execute(run: JobRun, work: Callable[[JobRun], Result]) -> None:
    """Do the work. Raises every outcome but success: `workers.runtime.outcomes` lists them."""
    job = run.job
    try:
        result = work(run)
    except LeaseLost:
        logger.warning(
            "Attempt %d at job %s no longer counts: it was cancelled or a later attempt has started.",
            job.attempt,
            job.id,
        )
        _raise_superseded(run)
    except JobError as error:
        _record_failure(run, error)
    except (Requeue, StoreError, SandboxUnavailable) as error:
        _requeue(run, error)
    except ProcessDied as error:
        _record_death(run, error)
    except BodyFailed as error:
        _record_unexpected(run, error)
    except Reject:
        raise
    except Exception as error:
        logger.exception("Attempt %d at job %s raised an unexpected error.", job.attempt, job.id)
        predicate = f"failed with an unexpected {type(error).__name__}"
        _record_crash(run, Death(Cause.ERROR, f"The attempt {predicate}.", predicate))
    else:
        _record_success(run, result)


def _raise_superseded(run: JobRun) -> None:
    """Raise the outcome of an attempt that no longer counts: JobCancelled, or Ignore if a later attempt decides."""
    job = run.wait_for_ledger(lambda: run.context.ledger.jobs.find(run.job.id))
    if job is not None and job.state is State.CANCELLED:
        raise_final_state(job)
    raise Ignore


def _record_success(run: JobRun, result: Result) -> None:
    job, attempts = run.job, run.context.ledger.attempts
    facts = result.facts | run.usage.facts(run.planned_bytes)
    recorded = run.wait_for_ledger(
        lambda: attempts.succeed(job.id, job.attempt, now=time.time(), artifact=result.artifact, facts=facts)
    )
    if recorded:
        run.publish_final_state(State.SUCCEEDED)
    else:
        logger.warning(
            "Attempt %d at job %s succeeded, but no longer counts: a later attempt has started.", job.attempt, job.id
        )
        _raise_superseded(run)


def _record_failure(run: JobRun, error: JobError) -> None:
    job, attempts = run.job, run.context.ledger.attempts
    problem, facts = {"code": error.code, "detail": error.message}, run.usage.facts(run.planned_bytes)
    if not run.wait_for_ledger(lambda: attempts.fail(job.id, job.attempt, now=time.time(), error=problem, facts=facts)):
        _raise_superseded(run)
    logger.warning("Job %s failed: %s", job.id, error.message)
    run.publish_final_state(State.FAILED)
    raise JobFailed(error.message) from error


def _requeue(run: JobRun, error: Requeue | StoreError | SandboxUnavailable) -> None:
    """Return the job to the ledger. Maintenance publishes it later, outside the broker's delivery limit."""
    job, attempts = run.job, run.context.ledger.attempts
    queue = error.queue if isinstance(error, Requeue) else None
    logger.warning("Attempt %d at job %s is requeued. %s", job.attempt, job.id, error)
    run.wait_for_ledger(
        lambda: attempts.requeue(
            job.id, job.attempt, now=time.time(), cause=error.code, explanation=error.message, queue=queue
        )
    )
    raise Retry(error.message) from error


def _record_death(run: JobRun, error: ProcessDied) -> None:
    """Count the death of the sandboxed process, or requeue the job if the host was too slow for it."""
    run.usage.add(error.exit_info)
    death = error.death
    run.recorder.set_memory(error.exit_info.resident, error.exit_info.peak)
    if death.cause is Cause.STARVED:
        _requeue(run, Requeue(death.cause, explanation.format_crash(death, run.recorder.snapshot())))
    else:
        _record_crash(run, death)


def _record_unexpected(run: JobRun, error: BodyFailed) -> None:
    """Count an error that the sandboxed code did not raise on purpose."""
    if error.code == Cause.OUT_OF_MEMORY:
        predicate = f"needed more memory than its limits allow ({error.message}),"
        _record_crash(run, Death(Cause.OUT_OF_MEMORY, f"It {predicate.rstrip(',')}.", predicate))
        return
    logger.error("Attempt %d at job %s: %s\n%s", run.job.attempt, run.job.id, error.message, error.traceback)
    name = error.message.removeprefix("It ").rstrip(".")
    _record_crash(run, Death(Cause.ERROR, error.message, name))


def _record_crash(run: JobRun, death: Death) -> None:
    """Count an attempt as crashed, and requeue its message unless the job is dead."""
    job, record = run.job, run.recorder.snapshot()
    message = explanation.format_crash(death, record)
    facts = run.usage.facts(run.planned_bytes) | explanation.crash_facts(record, read_memory()) | run.cgroup_facts
    host, pid, _started = run.context.lease_owner.rsplit(":", 2)
    state = run.wait_for_ledger(
        lambda: run.context.ledger.attempts.record_crash(
            job.id,
            host=host,
            pid=int(pid),
            cause=death.cause,
            job_at_fault=death.cause.job_at_fault,
            explanation=message,
            now=time.time(),
            facts=facts,
        )
    )
    logger.error("Job %s: %s", job.id, message)
    if state is State.DEAD:
        run.publish_final_state(State.DEAD)
        raise JobDead(message)
    raise Reject(message, requeue=True)
