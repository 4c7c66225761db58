"""An attempt at a job: what its work is given, and how the work ends."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from celery.exceptions import Reject
from celery.utils.log import get_logger

from tasks.errors import Conflict, JobFailed, ServiceUnavailable
from tasks.jobs import Job, LedgerError, LedgerUnavailable, State
from tasks.jobs.routing import memory_limit_of
from tasks.messaging.progress import ProgressMessage
from tasks.utils.retry import Backoff, retrying
from workers.crash.flight_recorder import FlightRecorder
from workers.runtime.resource_usage import ResourceUsage
from workers.runtime.worker_context import WorkerContext
from workers.runtime.worker_zygote import worker_zygote
from workers.sandbox.reports import Progress
from workers.sandbox.runner import OnProgress, Outcome, SandboxJob, run
from workers.sandbox.watch import Limits, Measurement

logger = get_logger(__name__)

T = TypeVar("T")

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
