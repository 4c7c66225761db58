"""An attempt's death in one sentence: what ended it, how large it was, what it was doing, what was planned.

Attempt 2 was killed by the kernel at 505 MB while encoding layer PIPES (planned 120 MB).
"""

from typing import Any

from workers.crash.causes import Death
from workers.crash.flight_recorder import WAITING, FlightRecord
from workers.sandbox.cgroup import CgroupMemory

MIB = 1024**2

# What is done in a stage, without and with a layer. Another stage is named as it is.
_ACTIVITIES = {
    "plan": ("planning", "planning"),
    "open": ("opening the drawing", "opening layer {}"),
    "draw": ("drawing", "drawing layer {}"),
    "compose": ("composing", "composing layer {}"),
    "encode": ("encoding", "encoding layer {}"),
    "tiles": ("cutting tiles", "cutting tiles of layer {}"),
    "manifest": ("writing the manifest", "writing the manifest"),
    WAITING: ("waiting for the ledger", "waiting for the ledger"),
}


def format_crash(death: Death, record: FlightRecord | None) -> str:
    """The sentence. Without a record it is the death's own."""
    if record is None or not death.predicate:
        return death.explanation
    size = f" at {_megabytes(record.resident)}" if record.resident else ""
    doing = f" while {_activity(record.stage, record.layer)}" if record.stage else ""
    planned = f" (planned {_megabytes(record.planned)})" if record.planned else ""
    return f"Attempt {record.attempt} {death.predicate}{size}{doing}{planned}".rstrip(",") + "."


def crash_facts(record: FlightRecord | None, memory: CgroupMemory) -> dict[str, Any]:
    """The same for programs: where the attempt was, and how its worker's cgroup stood."""
    found: dict[str, Any] = {}
    if record is not None:
        found = {"stage": record.stage, "layer": record.layer, "resident_bytes": record.resident}
        found |= {"peak_bytes": record.peak}
        if record.planned:
            found |= {"planned_bytes": record.planned, "plan_error": plan_error(record.planned, record.peak)}
    pressure = memory.pressure
    return found | {
        "cgroup": {
            "current_bytes": memory.current,
            "peak_bytes": memory.peak,
            "limit_bytes": memory.limit,
            "events": memory.events,
            "pressure": None if pressure is None else {"some": pressure.some, "full": pressure.full},
        }
    }


def plan_error(planned: int, measured: int) -> float:
    """How far the plan was off: 0.5 where half as much again was needed, -0.5 where half of it would have done."""
    return round(measured / planned - 1, 3)


def _activity(stage: str, layer: str) -> str:
    plain, with_layer = _ACTIVITIES.get(stage, (f"at {stage}", f"at {stage}, layer {{}}"))
    return with_layer.replace("{}", layer) if layer else plain


def _megabytes(count: int) -> str:
    return f"{count // MIB} MB"
