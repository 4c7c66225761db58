"""One attempt at a job: claim it, keep its lease while the work goes on, and settle it in the ledger.

    def work(attempt: Running) -> Done: ...

    attempt(bench(), job, work)

The message is acknowledged when this returns, comes back when it raises `Reject(requeue=True)`, and goes to the dead
letters when it raises `Reject(requeue=False)`.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from celery.exceptions import Reject
from celery.utils.log import get_logger

from tasks.jobs import Claim, Claimed, IdConflict, Job, Leased, LedgerError, LedgerUnavailable, Rerouted, State
from tasks.messaging.progress import ProgressMessage
from tasks.observability.logs import log_context
from tasks.observability.tracing import span
from tasks.storage import StoreError
from workers.crash import crash_reports, explanation
from workers.crash.causes import Cause, Death
from workers.crash.flight_recorder import FlightRecorder, record_attempt
from workers.runtime.context import WorkerContext
from workers.runtime.leak_sampling import profile_if_suspected
from workers.runtime.lease_owner import is_gone
from workers.runtime.resource_usage import ResourceUsage

logger = get_logger(__name__)

T = TypeVar("T")

# A job that another worker seems to hold may be free in a moment: the death of its holder is being noted. After this
# many seconds the message is let go; when the lease runs out, maintenance publishes the job again.
LEASED_TIMEOUT = 2.0

# How often to look (seconds). A holder that is found gone twice has a parent that is gone, too, or it would be
# explained by now: a parent that lives notes a death within milliseconds.
LEASED_POLL_INTERVAL = 0.1

# A ledger that is away is waited for, since nothing can be done without it, but no longer than this (seconds): then
# the message goes back to its queue, and the time limit starts anew.
LEDGER_TIMEOUT = 60.0

# Progress is told at most this often (seconds).
PROGRESS_INTERVAL = 0.2


class JobError(Exception):
    """The job cannot be done, however often one tries. `code` is for programs, the text for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Requeue(Exception):
    """This worker cannot do the job now, through no fault of the job's. `cause` is for programs.

    With a `queue`, the job belongs into another lane than the one that its message came through.
    """

    def __init__(self, cause: str, explanation: str, queue: str | None = None) -> None:
        super().__init__(explanation)
        self.cause = cause
        self.queue = queue


class LeaseLost(Exception):
    """The attempt no longer counts: the job was cancelled, or a newer attempt holds it."""


@dataclass(frozen=True, slots=True)
class Result:
    """Work finished: the artifacts' key, and what the run took."""

    artifact: str
    facts: dict[str, Any] = field(default_factory=dict)


class JobRun:
    """A claimed job, as the work on it sees it."""

    def __init__(self, context: WorkerContext, job: Job, recorder: FlightRecorder) -> None:
        self.context = context
        self.job = job
        self.recorder = recorder
        self.usage = ResourceUsage()
        self.lease_lost = threading.Event()
        self.planned_bytes = 0
        self._set_planned(job.plan)
        self._last_published = float("-inf")

    def record_plan(self, *, digest: str, size: int, plan: dict[str, Any]) -> None:
        """Record in the ledger what was read from the source's header, unless the intake did so already."""
        self._set_planned(plan)
        if (self.job.digest, self.job.size, self.job.plan) == (digest, size, plan):
            return
        self.wait_for_ledger(
            lambda: self.context.ledger.attempts.record_plan(
                self.job.id, self.job.attempt, digest=digest, size=size, plan=plan
            )
        )

    def wait_for_ledger(self, call: Callable[[], T]) -> T:
        """The ledger's answer, waited for. Its absence is not the job's fault, whatever ends the attempt meanwhile.

        Raises Reject(requeue=True) when it stays away.
        """
        with self.recorder.waiting():
            return wait_for_ledger(call)

    def report_progress(self, percent: int, stage: str, layer: str = "") -> None:
        """Tell how far the job is. Raises Fenced when there is no point in going on."""
        self.recorder.set_stage(stage, layer)
        if self.lease_lost.is_set():
            raise LeaseLost
        now = time.monotonic()
        if now - self._last_published >= PROGRESS_INTERVAL or percent == 100:
            self._last_published = now
            self._publish(State.RUNNING, percent, stage, layer)

    def publish_final_state(self, state: State) -> None:
        """Tell whoever watches that the job is settled."""
        self._publish(state, 100 if state is State.SUCCEEDED else 0, "", "")

    def renew_lease_until(self, stopped: threading.Event) -> None:
        """Renew the lease thrice a lease until stopped, or until the ledger says that it is lost."""
        lease = self.context.settings.lease_seconds
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
    """Make one attempt at `job`, which is adopted if the ledger does not know it. Raises Reject as said above."""
    claim = _claim(context, job)
    if isinstance(claim, Leased):
        logger.warning("Job %s is held by %s: let go until its lease runs out.", job.id, claim.job.lease_owner)
        return
    if isinstance(claim, Rerouted):
        logger.info("Job %s goes on in %s: its message is let go.", job.id, claim.job.queue)
        return
    if isinstance(claim, IdConflict):
        raise Reject("the id belongs to another job", requeue=False)
    if not isinstance(claim, Claimed):
        _reject_finished(claim.job)
        return
    granted = claim.job
    with (
        span("attempt", granted.traceparent, job=granted.id, attempt=granted.attempt) as traceparent,
        log_context(job=granted.id, attempt=granted.attempt, traceparent=traceparent),
    ):
        _run(context, granted, work)


def _run(context: WorkerContext, job: Job, work: Callable[[JobRun], Result]) -> None:
    with record_attempt(context.settings.var, context.lease_owner, job=job.id, attempt=job.attempt) as flight:
        running = JobRun(context, job, flight)
        stopped = threading.Event()
        pulse = threading.Thread(target=running.renew_lease_until, args=(stopped,), daemon=True, name="lease")
        pulse.start()
        try:
            with profile_if_suspected(context, job) as running.usage.profiled:
                _execute(running, work)
        finally:
            stopped.set()
            pulse.join()


def wait_for_ledger(call: Callable[[], T]) -> T:
    """The ledger's answer, waited for. Raises Reject(requeue=True) when it stays away."""
    deadline = time.monotonic() + LEDGER_TIMEOUT
    pause = 0.05
    while True:
        try:
            return call()
        except LedgerUnavailable as error:
            if time.monotonic() > deadline:
                raise Reject(str(error), requeue=True) from error
            logger.warning("Waiting for the ledger: %s", error)
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 2.0)


def _claim(context: WorkerContext, job: Job) -> Claim:
    seen_gone: set[str] = set()

    def vanished(holder: str) -> bool:
        """Whether a holder was gone at the look before, too: its parent had time to note why."""
        if not is_gone(holder):
            return False
        known = holder in seen_gone
        seen_gone.add(holder)
        return known

    def claim() -> Claim:
        crash_reports.flush(context.settings.var, context.ledger)
        return context.ledger.attempts.claim(
            job,
            lease_owner=context.lease_owner,
            now=time.time(),
            lease=context.settings.lease_seconds,
            is_dead=vanished,
        )

    deadline = time.monotonic() + LEASED_TIMEOUT
    while isinstance(answer := wait_for_ledger(claim), Leased) and time.monotonic() < deadline:
        time.sleep(LEASED_POLL_INTERVAL)
    return answer


def _reject_finished(job: Job) -> None:
    """A message of a settled job: nothing to do, but a dead job's message belongs with the dead letters."""
    logger.info("Job %s is %s already.", job.id, job.state)
    if job.state is State.DEAD:
        raise Reject((job.error or {}).get("detail", "the job is dead"), requeue=False)


def _execute(run: JobRun, work: Callable[[JobRun], Result]) -> None:
    job, attempts = run.job, run.context.ledger.attempts
    try:
        done = work(run)
    except LeaseLost:
        logger.warning("Attempt %d at job %s no longer counts.", job.attempt, job.id)
    except JobError as error:
        problem, facts = {"code": error.code, "detail": str(error)}, run.usage.facts(run.planned_bytes)
        if run.wait_for_ledger(lambda: attempts.fail(job.id, job.attempt, now=time.time(), error=problem, facts=facts)):
            logger.warning("Job %s failed: %s", job.id, problem["detail"])
            run.publish_final_state(State.FAILED)
    except (Requeue, StoreError) as error:
        cause, queue, said = getattr(error, "cause", "store"), getattr(error, "queue", None), str(error)
        logger.warning("Attempt %d at job %s is given back. %s", job.attempt, job.id, said)
        # The ledger publishes it again later: the broker's delivery limit must not count our own troubles.
        run.wait_for_ledger(
            lambda: attempts.requeue(job.id, job.attempt, now=time.time(), cause=cause, explanation=said, queue=queue)
        )
    except MemoryError as error:
        needed = f"needed more memory than its limits allow ({error or 'MemoryError'}),"
        _record_crash(run, Cause.OUT_OF_MEMORY, needed)
    except Reject:
        raise
    except Exception as error:
        logger.exception("Attempt %d at job %s met an error of ours.", job.attempt, job.id)
        _record_crash(run, Cause.ERROR, f"met an unexpected {type(error).__name__}")
    else:
        facts = done.facts | run.usage.facts(run.planned_bytes)
        settled = run.wait_for_ledger(
            lambda: attempts.succeed(job.id, job.attempt, now=time.time(), artifact=done.artifact, facts=facts)
        )
        if settled:
            run.publish_final_state(State.SUCCEEDED)
        else:
            logger.warning("Attempt %d at job %s succeeded, but no longer counts.", job.attempt, job.id)


def _record_crash(run: JobRun, cause: Cause, predicate: str) -> None:
    """An attempt that its child survived counts as a death all the same."""
    job, facts = run.job, run.usage.consumed(run.planned_bytes)
    said = explanation.format_crash(Death(cause, f"It {predicate}.", predicate), run.recorder.snapshot())
    host, pid, _started = run.context.lease_owner.rsplit(":", 2)
    state = run.wait_for_ledger(
        lambda: run.context.ledger.attempts.record_crash(
            job.id,
            host=host,
            pid=int(pid),
            cause=cause,
            job_at_fault=cause.job_at_fault,
            explanation=said,
            now=time.time(),
            facts=facts,
        )
    )
    if state is State.DEAD:
        run.publish_final_state(State.DEAD)
    logger.error("Job %s: %s", job.id, said)
    raise Reject(said, requeue=state is not State.DEAD)
