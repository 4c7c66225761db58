"""One attempt at a job: claim it, renew its lease during the work, and record its result in the ledger.

    def work(run: JobRun) -> Result: ...

    run_job(worker_context(), job, work)

`run_job` returns when the job has succeeded, and raises every other outcome: `workers.runtime.outcomes` lists them.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from celery.exceptions import Ignore, Reject, Retry
from celery.utils.log import get_logger

from tasks.errors import Conflict, JobFailed, ServiceUnavailable
from tasks.jobs import Claim, Claimed, IdConflict, Job, Leased, LedgerError, LedgerUnavailable, Rerouted, State
from tasks.jobs.routing import memory_limit_of
from tasks.messaging.progress import ProgressMessage
from tasks.observability.logs import log_context
from tasks.observability.tracing import span
from tasks.storage import StoreError
from tasks.utils.retry import Backoff, retrying
from workers.crash import crash_reports, explanation
from workers.crash.flight_recorder import FlightRecorder, record_attempt
from workers.crash.lost_workers import explain_loss, pop_lost_record
from workers.runtime import revocation
from workers.runtime.outcomes import JobDead, raise_final_state
from workers.runtime.resource_usage import ResourceUsage
from workers.runtime.worker_context import WorkerContext
from workers.runtime.worker_zygote import worker_zygote
from workers.sandbox.causes import Cause, Death
from workers.sandbox.cgroup import read_memory
from workers.sandbox.errors import SandboxUnavailable
from workers.sandbox.process_identity import is_gone
from workers.sandbox.reports import Progress
from workers.sandbox.runner import BodyFailed, OnProgress, Outcome, ProcessDied, SandboxJob, run
from workers.sandbox.watch import Limits, Measurement

logger = get_logger(__name__)

T = TypeVar("T")

# Seconds. A job with a live lease may become free in a moment, when the crash of its owner is recorded. After this time
# the message is acknowledged; maintenance publishes the job again when the lease expires.
LEASED_TIMEOUT = 2.0

# Seconds between two claims. If the owner is gone in two claims in a row, its parent is gone as well: a live parent
# reports a crash within milliseconds.
LEASED_POLL_INTERVAL = 0.1

# Seconds. Nothing can be done without the ledger, so an attempt waits for it. After this time the message returns to
# its queue, which restarts the time limit.
LEDGER_TIMEOUT = 60.0
LEDGER_BACKOFF = Backoff(initial=0.05, maximum=2.0)

# Minimum seconds between two progress messages.
PROGRESS_INTERVAL = 0.2


class JobError(JobFailed):
    """The job cannot succeed in any attempt."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Requeue(ServiceUnavailable):
    """This worker cannot do the job now, through no fault of the job.

    With a `queue`, the job continues there instead of in the queue of its message.
    """

    def __init__(self, code: str, message: str, queue: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.queue = queue


class LeaseLost(Conflict):
    """The attempt no longer counts: the job was cancelled, or a newer attempt has its lease."""

    code = "lease-lost"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of successful work: the key of the artifacts, and facts about the attempt."""

    artifact: str
    facts: dict[str, Any] = field(default_factory=dict)


class JobRun:
    """A claimed job during the work on it."""

    def __init__(self, context: WorkerContext, job: Job, recorder: FlightRecorder) -> None:
        self.context = context
        self.job = job
        self.recorder = recorder
        self.usage = ResourceUsage()
        self.lease_lost = threading.Event()
        self.planned_bytes = 0
        self.drawing_format = "unknown"
        self.cgroup_facts: dict[str, Any] = {}
        self._set_planned(job.plan)
        self._last_published = float("-inf")

    def record_plan(self, *, digest: str, size: int, plan: dict[str, Any]) -> None:
        """Record the plan in the ledger unless the web tier recorded the same one."""
        self._set_planned(plan)
        if (self.job.digest, self.job.size, self.job.plan) == (digest, size, plan):
            return
        self.wait_for_ledger(
            lambda: self.context.ledger.attempts.record_plan(
                self.job.id, self.job.attempt, digest=digest, size=size, plan=plan
            )
        )

    def wait_for_ledger(self, call: Callable[[], T]) -> T:
        """Call the ledger, and call again while it is unavailable.

        The flight recorder shows the wait, so that a time limit reached during it is not the job's fault. Raises
        Reject(requeue=True) after LEDGER_TIMEOUT.
        """
        with self.recorder.waiting():
            return wait_for_ledger(call)

    def report_progress(self, percent: int, stage: str, layer: str = "") -> None:
        """Record and publish the progress. Raises LeaseLost if the attempt no longer counts."""
        self.recorder.set_stage(stage, layer)
        if self.lease_lost.is_set():
            raise LeaseLost
        now = time.monotonic()
        if now - self._last_published >= PROGRESS_INTERVAL or percent == 100:
            self._last_published = now
            self._publish(State.RUNNING, percent, stage, layer)

    def publish_final_state(self, state: State) -> None:
        """Publish to subscribers that the job has finished."""
        self._publish(state, 100 if state is State.SUCCEEDED else 0, "", "")

    def run_in_sandbox(self, job: SandboxJob) -> Outcome:
        """Run code in the sandbox within the limits of the job's queue; its progress is that of this attempt.

        Raises LeaseLost if the attempt no longer counts, and SandboxUnavailable.
        """
        outcome = self._run(job, self._on_progress)
        self.usage.add(outcome.exit_info)
        if events := outcome.exit_info.memory_events:
            limit = memory_limit_of(self.job.queue, self.context.settings)
            self.cgroup_facts = {"render_cgroup": {"limit_bytes": limit, "events": dict(events)}}
        return outcome

    def run_aside(self, job: SandboxJob) -> Outcome:
        """The same for code whose progress, resources and end do not concern the attempt."""
        return self._run(job, lambda _progress: None)

    def _run(self, job: SandboxJob, on_progress: OnProgress) -> Outcome:
        settings = self.context.settings
        limits = Limits(
            memory=memory_limit_of(self.job.queue, settings),
            cpu=settings.render_time_limit,
            idle=settings.render_idle_limit,
            wall=settings.render_wall_limit,
            disk=settings.render_disk_limit,
        )
        confined = replace(job, niceness=settings.child_niceness)
        return run(worker_zygote(), confined, limits, on_progress=on_progress, on_measure=self._on_measure)

    def _on_progress(self, progress: Progress) -> None:
        self.report_progress(progress.percent, progress.stage, progress.layer)

    def _on_measure(self, measured: Measurement) -> None:
        self.recorder.set_memory(measured.resident)
        if self.lease_lost.is_set():
            raise LeaseLost

    def renew_lease_until(self, stopped: threading.Event) -> None:
        """Renew the lease three times per lease duration until `stopped` is set or the lease is lost."""
        lease = self.context.settings.lease
        while not stopped.wait(lease / 3):
            with suppress(LedgerError):
                renewed = self.context.ledger.attempts.renew(
                    self.job.id, self.job.attempt, now=time.time(), lease=lease
                )
                if not renewed:
                    self.lease_lost.set()
                    return

    def _set_planned(self, plan: dict[str, Any] | None) -> None:
        self.planned_bytes = (plan or {}).get("peak_bytes") or self.planned_bytes
        self.drawing_format = (plan or {}).get("format") or self.drawing_format
        self.recorder.set_planned(self.planned_bytes)

    def _publish(self, state: State, percent: int, stage: str, layer: str) -> None:
        self.context.progress_publisher.publish(
            ProgressMessage(
                job=self.job.id,
                tenant=self.job.tenant,
                state=state,
                attempt=self.job.attempt,
                percent=percent,
                stage=stage,
                layer=layer,
            )
        )


def run_job(context: WorkerContext, job: Job, work: Callable[[JobRun], Result]) -> None:
    """Make one attempt at `job`, which is added to the ledger if it is not there. Raises its outcome, see above."""
    claim = _claim(context, job)
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
            _execute(run, work)
        finally:
            stopped.set()
            renewal.join()


def wait_for_ledger(call: Callable[[], T]) -> T:
    """Call the ledger, and call again while it is unavailable. Raises Reject(requeue=True) after LEDGER_TIMEOUT."""

    def logged_call() -> T:
        try:
            return call()
        except LedgerUnavailable as error:
            logger.warning("Waiting for the ledger: %s", error)
            raise

    try:
        return retrying(on=LedgerUnavailable, timeout=LEDGER_TIMEOUT, backoff=LEDGER_BACKOFF)(logged_call)
    except LedgerUnavailable as error:
        raise Reject(str(error), requeue=True) from error


def _claim(context: WorkerContext, job: Job) -> Claim:
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


def _execute(run: JobRun, work: Callable[[JobRun], Result]) -> None:
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
