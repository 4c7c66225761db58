"""Celery's request with a death note: what the parent knows when a child dies is never lost."""

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
from workers.crash.causes import Cause, Death, classify
from workers.runtime.lease_owner import host_id
from workers.sandbox.cgroup import oom_kills, read_memory

logger = get_logger(__name__)

# billiard tells how a child ended only in words (`billiard.common.human_status`).
_EXIT_STATUS = re.compile(r"(signal|exitcode) (\d+)")


class CrashReportingRequest(Request):
    """Notes why a child died, and leaves it to the ledger whether the job is tried again.

    The message goes back to its queue after every death; the next child to get it carries the notes to the ledger
    first, and refuses the job if that makes it a dead one.
    """

    _oom_kills = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.time_limits = (None, None)  # a message cannot move the fence: the task's own limits hold

    def revoked(self) -> bool:
        """Never: `celery control revoke` would drop the message, and the ledger, which promised the job, would have it
        published again. A job is cancelled in the ledger.
        """
        if self.id in revoked_tasks:
            logger.warning("Job %s was revoked, but is run: cancel it with DELETE /renders/%s.", self.id, self.id)
        return False

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """A child has begun."""
        self._oom_kills = oom_kills()
        super().on_accepted(pid, time_accepted)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """The child exceeded its time limit and is about to be killed."""
        if not soft:
            self._report_crash(classify(0, time_limit=timeout))
        super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        """The child is gone, or raised what the task did not expect."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        if isinstance(error, WorkerLostError):
            self._report_crash(classify(_exit_status(str(error)), oom_kills=oom_kills() - self._oom_kills))
        super().on_failure(exc_info, *args, **kwargs)

    def _report_crash(self, death: Death) -> None:
        if self.worker_pid is None:
            return  # it died before it had begun: there is no attempt to explain
        var, last = settings().var, flight_recorder.pop_record(settings().var, self.worker_pid)
        if last is not None and last.job != self.id:
            last = None  # of a job before, in a child that had only just begun with this one
        if death.cause is Cause.TIME_LIMIT and last is not None and last.stage == flight_recorder.WAITING:
            death = replace(death, cause=Cause.LEDGER_UNAVAILABLE)  # its time went by while the ledger was away
        said = explanation.format_crash(death, last)
        with log_context(job=self.id, attempt=last.attempt if last else 0, traceparent=self.kwargs.get("traceparent")):
            logger.error("Job %s lost its worker child %d: %s", self.id, self.worker_pid, said)
        facts = explanation.crash_facts(last, read_memory())
        try:
            crash_reports.write(
                var,
                crash_reports.CrashReport(self.id, host_id(), self.worker_pid, time.time(), death.cause, said, facts),
            )
        except OSError:
            logger.exception("The death note could not be written; the attempt stays unexplained.")


class JobTask(Task):
    """Base of every task whose job is in the ledger."""

    abstract = True
    Request = "workers.runtime.request:FencedRequest"


def _exit_status(message: str) -> int:
    """Exit code, or the negative signal, from billiard's words; unknown ends count as killed from outside."""
    found = _EXIT_STATUS.search(message)
    if found is None:
        return -9
    number = int(found[2])
    return -number if found[1] == "signal" else number
