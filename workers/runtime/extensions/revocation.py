"""Jobs that an operator revokes through Celery.

Celery drops the message of a revoked task, and the ledger would publish the job again. So the job is cancelled in the
ledger. The parent must keep serving its event loop, so it never waits for SQL: it writes the request to a file. The
next child that starts or claims a job and the maintenance task carry out the requests of their host.
"""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from celery.signals import worker_process_init
from celery.utils.functional import maybe_list
from celery.utils.log import get_logger
from celery.worker.control import control_command
from celery.worker.control import revoke as celery_revoke
from pydantic import TypeAdapter, ValidationError

from tasks.jobs import OPEN, WAITING, Ledger, LedgerError
from tasks.messaging.topology import MAINTENANCE, RENDER_QUEUES
from tasks.renders import JobId
from tasks.settings import settings
from tasks.utils.files import write_atomically
from workers.runtime.worker_context import worker_context

logger = get_logger(__name__)

FOLDER = "revocations"

REVOKED = "An operator revoked the job through Celery (`celery control revoke` or `terminate`, or Flower)."
DETAIL = f"{REVOKED} Replay it to run it again."
EXPLANATION = f"Its worker child was terminated. {REVOKED}"

_JOB_ID = TypeAdapter(JobId)


@dataclass(frozen=True, slots=True)
class Revocation:
    """A request to cancel a job, at a time in seconds since the epoch. A running job is cancelled with `terminate`."""

    job: str
    requested_at: float
    terminate: bool


def write(var: Path, revocation: Revocation) -> None:
    """Write a request, completely or not at all."""
    folder = var / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{revocation.job}.json", json.dumps(asdict(revocation)))


def flush(var: Path, ledger: Ledger) -> None:
    """Carry out all requests of this host. Raises LedgerUnavailable and keeps the files.

    Several processes may do this at the same time. A file that cannot be read, for example after a power failure, is
    deleted.
    """
    for path in sorted((var / FOLDER).glob("*.json")):
        with suppress(FileNotFoundError):
            if revocation := _read(path):
                _cancel(ledger, revocation)
            path.unlink()


def _write_all(ids: Iterable[str], *, terminate: bool) -> None:
    now = time.time()
    for each in ids:
        try:
            write(settings().var, Revocation(_JOB_ID.validate_python(each), now, terminate))
        except ValidationError:  # it cannot be the id of a job
            continue
        except OSError:
            logger.exception("Job %s is not cancelled, because its revocation could not be written.", each)


def _read(path: Path) -> Revocation | None:
    text = path.read_text(errors="replace")
    try:
        return Revocation(**json.loads(text))
    except (ValueError, TypeError):
        logger.warning("The revocation %s cannot be read and is deleted: %.200r", path.name, text)
        return None


def _cancel(ledger: Ledger, revocation: Revocation) -> None:
    cancelled = ledger.jobs.cancel(
        revocation.job,
        time.time(),
        error={"code": "cancelled", "detail": DETAIL},
        states=OPEN if revocation.terminate else WAITING,
        requested_at=revocation.requested_at,
        explanation=EXPLANATION,
    )
    if cancelled:
        logger.warning("Job %s is cancelled: it was revoked through Celery.", revocation.job)


@control_command(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")
def revoke(state: Any, task_id: Any, terminate: bool = False, signal: str | None = None, **options: Any) -> Any:
    """Revoke tasks by id. Jobs of the ledger are cancelled: those that wait, and with `terminate` those that run."""
    if not state.app.amqp.queues.consume_from.keys().isdisjoint({*RENDER_QUEUES, MAINTENANCE}):
        _write_all(maybe_list(task_id) or [], terminate=terminate)
    return celery_revoke(state, task_id, terminate, signal, **options)


@control_command(
    name="terminate", variadic="task_id", args=[("signal", str)], signature="<signal> [id1 [id2 [... [idN]]]]"
)
def terminate(state: Any, signal: str, task_id: Any, **options: Any) -> Any:
    """Revoke tasks by id, also those that run. `signal` ends their child processes."""
    return revoke(state, task_id, terminate=True, signal=signal, **options)


@worker_process_init.connect
def flush_at_start(**_signal: Any) -> None:
    """Carry out requests in a new child: it may replace one that was terminated."""
    var = settings().var
    if any((var / FOLDER).glob("*.json")):
        with suppress(LedgerError):  # the next claim tries again
            flush(var, worker_context().ledger)
