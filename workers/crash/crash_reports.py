"""Crash reports: what the parent saw when a child ended, written to a file at once and sent to the ledger later.

The parent must keep serving its event loop, so it never waits for SQL. The next child that claims a job and the
maintenance task read the reports of their host and record them in the ledger.
"""

import json
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tasks.jobs import Ledger
from tasks.utils.files import SHARED_FILE, write_atomically
from workers.sandbox.causes import Cause

logger = logging.getLogger(__name__)

FOLDER = "crash-reports"


@dataclass(frozen=True, slots=True)
class CrashReport:
    """One crash: the child and its job, the time (seconds since the epoch), the cause, and further facts."""

    job: str
    host: str
    pid: int
    occurred_at: float
    cause: Cause
    explanation: str
    facts: dict[str, Any] = field(default_factory=dict)


def write(var: Path, report: CrashReport) -> None:
    """Write a report, completely or not at all."""
    folder = var / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{report.job}.{report.pid}.json", json.dumps(asdict(report)), SHARED_FILE)


def flush(var: Path, ledger: Ledger) -> int:
    """Record all reports of this host in the ledger; returns how many. Raises LedgerUnavailable and keeps the files.

    Several children may flush at the same time: the ledger counts each crash once. A file that cannot be read, for
    example after a power failure, is deleted: it must not block every job of its host.
    """
    flushed = 0
    for path in sorted((var / FOLDER).glob("*.json")):
        with suppress(FileNotFoundError):
            report = _read(path)
            if report is None:
                path.unlink()
                continue
            ledger.attempts.record_crash(
                report.job,
                host=report.host,
                pid=report.pid,
                cause=report.cause,
                job_at_fault=report.cause.job_at_fault,
                explanation=report.explanation,
                now=report.occurred_at,
                facts=report.facts or None,
            )
            path.unlink()
            flushed += 1
    return flushed


def _read(path: Path) -> CrashReport | None:
    text = path.read_text(errors="replace")
    try:
        fields = json.loads(text)
        return CrashReport(**{**fields, "cause": Cause(fields["cause"])})
    except (ValueError, TypeError, LookupError):
        logger.warning("The crash report %s cannot be read and is deleted: %.200r", path.name, text)
        return None
