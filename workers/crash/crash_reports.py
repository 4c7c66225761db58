"""Death notes: what the parent saw when a child died, written to a file at once and carried to the ledger later.

The parent must go on serving its event loop, so it never waits for SQL. The next child that starts, and upkeep, read
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

FOLDER = "deaths"


@dataclass(frozen=True, slots=True)
class Note:
    """One death: of which child, at which job, when (seconds since the epoch), why, and what is known besides."""

    job: str
    host: str
    pid: int
    at: float
    cause: Cause
    story: str
    facts: dict[str, Any] = field(default_factory=dict)


def write(var: Path, note: Note) -> None:
    """Leave a note, whole or not at all."""
    folder = var / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{note.job}.{note.pid}"
    unfinished.write_text(json.dumps(asdict(note)))
    unfinished.replace(folder / f"{note.job}.{note.pid}.json")


def carry(var: Path, ledger: Ledger) -> int:
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
            ledger.attempts.died(
                note.job,
                host=note.host,
                pid=note.pid,
                cause=note.cause,
                causal=note.cause.causal,
                story=note.story,
                now=note.at,
                facts=note.facts or None,
            )
            path.unlink()
            carried += 1
    return carried


def _read(path: Path) -> Note | None:
    text = path.read_text(errors="replace")
    try:
        fields = json.loads(text)
        return Note(**{**fields, "cause": Cause(fields["cause"])})
    except (ValueError, TypeError, LookupError):
        logger.warning("The death note %s cannot be read and is dropped: %.200r", path.name, text)
        return None
