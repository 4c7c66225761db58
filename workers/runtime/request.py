"""Celery's request with crash reports: the parent writes down why a child ended."""

import re
import time
from dataclasses import replace
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery import Task
from celery.exceptions import WorkerLostError
from celery.utils.log import get_logger
from celery.worker.request import Request
from celery.worker.state import revoked as revoked_tasks

from tasks.observability.logs import log_context
from tasks.settings import settings
from workers.crash import crash_reports, explanation, flight_recorder
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

    _oom_kills = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.time_limits = (None, None)  # a message cannot change the time limits of its task

    def revoked(self) -> bool:
        """Always False: `celery control revoke` would drop the message, and the ledger would publish the job again.
        A job is cancelled in the ledger.
        """
        if self.id in revoked_tasks:
            logger.warning("Job %s was revoked but runs anyway: cancel it with DELETE /renders/%s.", self.id, self.id)
        return False

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """A child has started the job."""
        self._oom_kills = oom_kills()
        super().on_accepted(pid, time_accepted)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """The child exceeded the time limit and is about to be killed."""
        if not soft:
            self._report_crash(classify(0, time_limit=timeout))
        super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        """The child ended, or the task raised an error."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        if isinstance(error, WorkerLostError):
            self._report_crash(classify(_exit_status(str(error)), oom_kills=oom_kills() - self._oom_kills))
        super().on_failure(exc_info, *args, **kwargs)

    def _report_crash(self, death: Death) -> None:
        if self.worker_pid is None:
            return  # the child ended before it started the job, so there is no attempt to explain
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


class JobTask(Task):
    """Base class of tasks whose jobs are in the ledger."""

    abstract = True
    Request = "workers.runtime.request:CrashReportingRequest"


def _exit_status(message: str) -> int:
    """Exit code or negative signal number from billiard's text; an unknown status counts as a kill from outside."""
    match = _EXIT_STATUS.search(message)
    if match is None:
        return -9
    number = int(match[2])
    return -number if match[1] == "signal" else number
