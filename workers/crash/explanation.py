"""Explains a crashed attempt in one sentence: what ended it, its memory, its stage and the planned memory.

Attempt 2 was killed by the kernel at 505 MiB while encoding layer PIPES (planned 120 MiB).
"""

from typing import Any

from tasks.utils.units import format_bytes
from workers.crash.flight_recorder import WAITING, FlightRecord
from workers.sandbox.causes import Death
from workers.sandbox.cgroup import CgroupMemory

# What a stage does, without and with a layer. Other stages are named as they are.
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
    """The explanation of a crash. Without a flight record it is the explanation of its cause alone."""
    if record is None or not death.predicate:
        return death.explanation
    memory = f" at {format_bytes(record.resident)}" if record.resident else ""
    activity = f" while {_activity(record.stage, record.layer)}" if record.stage else ""
    planned = f" (planned {format_bytes(record.planned)})" if record.planned else ""
    return f"Attempt {record.attempt} {death.predicate}{memory}{activity}{planned}".rstrip(",") + "."


def crash_facts(record: FlightRecord | None, memory: CgroupMemory) -> dict[str, Any]:
    """The same for programs: what the attempt was doing, and the memory of its worker's cgroup."""
    facts: dict[str, Any] = {}
    if record is not None:
        facts = {"stage": record.stage, "layer": record.layer, "resident_bytes": record.resident}
        facts |= {"peak_bytes": record.peak}
        if record.planned:
            facts |= {"planned_bytes": record.planned, "plan_error": plan_error(record.planned, record.peak)}
    pressure = memory.pressure
    return facts | {
        "cgroup": {
            "current_bytes": memory.current,
            "peak_bytes": memory.peak,
            "limit_bytes": memory.limit,
            "events": memory.events,
            "pressure": None if pressure is None else {"some": pressure.some, "full": pressure.full},
        }
    }


def plan_error(planned: int, measured: int) -> float:
    """Relative error of the plan: 0.5 if 50 % more memory was needed than planned, -0.5 if 50 % less."""
    return round(measured / planned - 1, 3)


def _activity(stage: str, layer: str) -> str:
    without_layer, with_layer = _ACTIVITIES.get(stage, (f"at {stage}", f"at {stage}, layer {{}}"))
    return with_layer.replace("{}", layer) if layer else without_layer
