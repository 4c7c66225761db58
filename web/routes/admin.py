"""Administration: leak detection, TLS ticket keys, and the heartbeat coalescer."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from tasks.jobs import latest_attempts
from tasks.jobs.leak_detection import MAX_JOBS, Confidence, find_leaks, residues
from tasks.sensors import LastFlush
from web.access.authentication import Tenant
from web.dependencies import ServicesDep
from web.problems import problem_responses
from web.routes.sensors import require_readings

router = APIRouter(prefix="/operations", tags=["operations"])


class LeakFinding(BaseModel):
    """What renders of one drawing format leave behind in their worker processes."""

    model_config = ConfigDict(from_attributes=True)

    format: str = Field(description="Format of the drawing.")
    engine: str = Field(description="Version of the render engine.")
    confidence: Confidence = Field(description="Confidence that such renders leak.")
    resource: str = Field(description="What leaks: `pixels`, `heap` or `files`.")
    jobs: int = Field(description="Jobs that were analysed.")
    leaking_jobs: int = Field(description="Jobs of these that left something behind.")
    leaked_bytes: int = Field(description="Bytes that a job leaves behind.")
    leaked_files: float = Field(description="Open files that a job leaves behind.")


class LeakReport(BaseModel):
    """The findings of `bulkhead leaks status`, worst first; empty without measurements."""

    findings: list[LeakFinding]


class TicketRotationStatus(BaseModel):
    """The state of the TLS ticket key rotation. Without a fleet, the generation is 0."""

    generation: int = Field(description="Rotations since the fleet's first key.")
    rotated_at: float | None = Field(description="Time of the last rotation, in seconds since 1970.")
    interval: float = Field(description="Seconds between two rotations (BULKHEAD_TICKETS_INTERVAL).")
    result: str = Field(description="Result of the last run, in a word.")
    rotating: bool = Field(description="Whether a rotation is in progress.")


class CoalescerStatus(BaseModel):
    """The last flush of the coalescer; `last` is null before the first one."""

    last: LastFlush | None
    age: float | None = Field(description="Seconds since the last flush.")
    lag: float | None = Field(description="Seconds from the broker's receipt of the last heartbeat to the flush.")


@router.get("/leaks", responses=problem_responses(401, 503))
async def get_leaks(services: ServicesDep, tenant: Tenant) -> LeakReport:  # noqa: ARG001 - for authentication
    """What recent renders left behind in their worker processes, by drawing format and engine version."""
    recent = await services.run_read(latest_attempts, services.ledger.database, MAX_JOBS)
    return LeakReport(findings=[LeakFinding.model_validate(finding) for finding in find_leaks(residues(recent))])


@router.get("/tickets", responses=problem_responses(401, 503))
async def get_ticket_rotation(
    services: ServicesDep,
    tenant: Tenant,  # noqa: ARG001 - for authentication
) -> TicketRotationStatus:
    """State of the ticket key rotation in the ledger. `bulkhead tickets status` asks the nodes."""
    rotation = await services.run_read(services.ledger.rotations.find)
    return TicketRotationStatus(
        generation=rotation.generation,
        rotated_at=rotation.rotated_at,
        interval=services.settings.tickets_interval,
        result=rotation.result,
        rotating=rotation.lease_expires_at is not None and rotation.lease_expires_at > services.clock(),
    )


@router.get("/heartbeats", responses=problem_responses(401, 503))
async def get_coalescer_status(
    services: ServicesDep,
    tenant: Tenant,  # noqa: ARG001 - for authentication
) -> CoalescerStatus:
    """The last flush of the coalescer. Without Redis the answer is a 503 problem."""
    last = await require_readings(services).last_flush()
    if last is None:
        return CoalescerStatus(last=None, age=None, lag=None)
    return CoalescerStatus(
        last=last, age=services.clock() - last.flushed_at, lag=max(0.0, last.flushed_at - last.received_at)
    )
