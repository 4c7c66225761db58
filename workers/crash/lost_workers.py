"""Attempts whose whole worker was killed, so that nobody could report why: what their flight records show.

Where a memory limit ends all processes of a container or unit together (cgroup v2, `memory.oom.group`), the parent
dies with the render. The record of the render tells whether it was the cause, so that its job does not get one attempt
after another.
"""

from contextlib import suppress
from pathlib import Path

from tasks.utils.units import format_bytes
from workers.crash.flight_recorder import FOLDER, FlightRecord, parse_record
from workers.sandbox.causes import Cause, Death

# A render counts as the cause if it used more than its plan, and more than this share of its memory limit. The last
# measurement is up to 50 ms old, in which a render allocates 100 MiB, and other processes share a container's limit.
SHARE_OF_LIMIT = 0.5


def pop_lost_record(var: Path, job: str, attempt: int) -> tuple[str, FlightRecord] | None:
    """The owner and the record of an attempt at `job` that lost its lease to `attempt`. The record is removed."""
    for path in (var / FOLDER).glob("*"):
        with suppress(OSError):
            record = parse_record(path.read_bytes())
            if record is not None and record.job == job and record.attempt < attempt:
                path.unlink()
                return path.name, record
    return None


def explain_loss(record: FlightRecord, memory_limit: int) -> Death | None:
    """The death of a render that was the reason for the end of its worker; None if it was not."""
    if record.resident <= max(record.planned, SHARE_OF_LIMIT * memory_limit):
        return None
    explanation = f"The process was killed with its whole worker. Its memory limit is {format_bytes(memory_limit)}."
    return Death(Cause.OUT_OF_MEMORY, explanation, "was killed with its whole worker")
