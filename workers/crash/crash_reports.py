"""Death notes: what the parent saw when a child died, written to a file at once and carried to the ledger later.

The parent must go on serving its event loop, so it never waits for SQL. The next child that starts, and maintenance, read
the notes of their host and tell the ledger.
"""

import json
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tasks.jobs import Ledger
from workers.crash.causes import Cause

logger = logging.getLogger(__name__)

FOLDER = "crashes"


@dataclass(frozen=True, slots=True)
class CrashReport:
    """One death: of which child, at which job, when (seconds since the epoch), why, and what is known besides."""

    job: str
    host: str
    pid: int
    occurred_at: float
    cause: Cause
    explanation: str
    facts: dict[str, Any] = field(default_factory=dict)


def write(var: Path, report: CrashReport) -> None:
    """Leave a note, whole or not at all."""
    folder = var / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{report.job}.{report.pid}"
    unfinished.write_text(json.dumps(asdict(report)))
    unfinished.replace(folder / f"{report.job}.{report.pid}.json")


def flush(var: Path, ledger: Ledger) -> int:
    """Tell the ledger of every death noted here; answers how many. Raises LedgerUnavailable: the notes stay.

    Several children may carry at the same time: the ledger counts a death once. A note that cannot be read, say
    because the machine lost power while it was written, is dropped: it must not hold up every job of its host.
    """
    carried = 0
    for path in sorted((var / FOLDER).glob("*.json")):
        with suppress(FileNotFoundError):
            note = _read(path)
            if note is None:
                path.unlink()
                continue
            ledger.attempts.record_crash(
                note.job,
                host=note.host,
                pid=note.pid,
                cause=note.cause,
                job_at_fault=note.cause.job_at_fault,
                explanation=note.explanation,
                now=note.occurred_at,
                facts=note.facts or None,
            )
            path.unlink()
            carried += 1
    return carried


def _read(path: Path) -> CrashReport | None:
    text = path.read_text(errors="replace")
    try:
        fields = json.loads(text)
        return CrashReport(**{**fields, "cause": Cause(fields["cause"])})
    except (ValueError, TypeError, LookupError):
        logger.warning("The death note %s cannot be read and is dropped: %.200r", path.name, text)
        return None
