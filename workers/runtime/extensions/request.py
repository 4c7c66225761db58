"""Celery's request with crash reports: the parent writes down why a child ended."""

import re
import time
from dataclasses import replace
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery import Task
from celery.exceptions import Reject, WorkerLostError
from celery.utils.log import get_logger
from celery.worker.request import Request

from tasks.errors import JobFailed
from tasks.observability.logs import log_context
from tasks.settings import settings
from workers.crash import crash_reports, explanation, flight_recorder
from workers.runtime.outcomes import JobCancelled, JobDead
from workers.sandbox.causes import Cause, Death, classify
from workers.sandbox.cgroup import oom_kills, read_memory
from workers.sandbox.process_identity import host_id

logger = get_logger(__name__)

# billiard reports the exit status of a child only as text (`billiard.common.human_status`).
_EXIT_STATUS = re.compile(r"(signal|exitcode) (\d+)")


class CrashReportingRequest(Request):
    """Reports why a child crashed. The ledger decides whether the job gets another attempt.

    The message returns to its queue after every crash. The next child that receives it flushes the crash reports to the
    ledger first, and rejects the message if the job is then dead.
    """

    # OOM kills of the worker's cgroup that crash reports have explained. Its children share the cgroup's counter.
    _explained_oom_kills = 0

    # OOM kills when a child accepted the request, and those of them that were explained.
    _oom_kills_before = (0, 0)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.time_limits = (None, None)  # a message cannot change the time limits of its task

    def revoked(self) -> bool:
        """Whether the request was revoked while it ran. Celery's list of revoked ids does not count: a job that was
        cancelled and then replayed has the same id. `workers.runtime.extensions.revocation` cancels jobs in the ledger.
        """
        return bool(self._already_revoked)

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """A child has started the job."""
        self._oom_kills_before = (oom_kills(), CrashReportingRequest._explained_oom_kills)
        super().on_accepted(pid, time_accepted)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """The child exceeded the time limit and is about to be killed."""
        explanation = "" if soft else self._report_crash(classify(0, time_limit=timeout))
        super().on_timeout(soft, timeout)
        if explanation:
            self._send_retried(explanation)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """The child ended, or the task raised an error or its outcome."""
        error = _unwrap(exc_info)
        if isinstance(error, JobCancelled):
            self._announce_revoked(reason="cancelled", terminated=False, signum=None, expired=False)
        elif isinstance(error, JobFailed):
            if not isinstance(error, JobDead):
                self.acknowledge()  # before Celery rejects it, like the message of any task that failed
            super().on_failure(exc_info, send_failed_event=False, return_ok=return_ok)
            self.send_event("task-failed", exception=error.message, traceback="")
        else:
            explanation = self._report_lost_child(error)
            super().on_failure(exc_info, send_failed_event, return_ok)
            if isinstance(error, Reject) and error.requeue:
                explanation = str(error.reason)
            if explanation:
                self._send_retried(explanation)

    def on_retry(self, exc_info: Any) -> None:
        """The ledger has requeued the job, and maintenance publishes it again."""
        self.acknowledge()
        self._send_retried(str(_unwrap(exc_info)))

    def _send_retried(self, reason: str) -> None:
        self.send_event("task-retried", exception=reason, traceback="")

    def _report_lost_child(self, error: BaseException) -> str:
        """Report the crash if the error says that the child has ended; returns its explanation."""
        if not isinstance(error, WorkerLostError):
            return ""
        kills, explained = self._oom_kills_before
        unexplained = (oom_kills() - kills) - (CrashReportingRequest._explained_oom_kills - explained)
        death = classify(_exit_status(str(error)), oom_kills=unexplained)
        if death.cause is Cause.OUT_OF_MEMORY:
            CrashReportingRequest._explained_oom_kills += 1
        return self._report_crash(death)

    def _report_crash(self, death: Death) -> str:
        """Log and write the crash report; returns the explanation."""
        if self.worker_pid is None:
            return ""  # the child ended before it started the job, so there is no attempt to explain
        var = settings().var
        record = flight_recorder.pop_record(var, self.worker_pid)
        if record is not None and record.job != self.id:
            record = None  # of an earlier job: the child ended before it recorded this one
        if death.cause is Cause.STARVED and record is not None and record.stage == flight_recorder.WAITING:
            death = replace(death, cause=Cause.LEDGER_UNAVAILABLE)
        message = explanation.format_crash(death, record)
        attempt = record.attempt if record else 0
        with log_context(job=self.id, attempt=attempt, traceparent=self.kwargs.get("traceparent")):
            logger.error("Job %s lost its worker child %d: %s", self.id, self.worker_pid, message)
        report = crash_reports.CrashReport(
            job=self.id,
            host=host_id(),
            pid=self.worker_pid,
            occurred_at=time.time(),
            cause=death.cause,
            explanation=message,
            facts=explanation.crash_facts(record, read_memory()),
        )
        try:
            crash_reports.write(var, report)
        except OSError:
            logger.exception("The crash report could not be written, so the attempt stays unexplained.")
        return message


class JobTask(Task):
    """Base class of tasks whose jobs are in the ledger."""

    abstract = True
    Request = "workers.runtime.extensions.request:CrashReportingRequest"
    throws = (JobFailed, JobCancelled)  # outcomes, which are logged without a traceback


def _unwrap(exc_info: Any) -> BaseException:
    error: BaseException = exc_info.exception
    return error.exc if isinstance(error, ExceptionWithTraceback) else error


def _exit_status(message: str) -> int:
    """Exit code or negative signal number from billiard's text; an unknown status counts as a kill from outside."""
    match = _EXIT_STATUS.search(message)
    if match is None:
        return -9
    number = int(match[2])
    return -number if match[1] == "signal" else number
