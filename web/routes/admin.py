"""What an operator looks at now and then: leaks of renders, keys of TLS tickets, heartbeats."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from pydantic import BaseModel, Field

from tasks.jobs import latest_attempts
from tasks.jobs.leak_detection import MAX_JOBS, Confidence, find_leaks, residues
from tasks.sensors import LastFlush
from web.access.authentication import Tenant
from web.dependencies import ServicesDep
from web.problems import problem_responses
from web.readings.redis_readings import RedisError
from web.routes.sensors import redis_unavailable, require_readings

router = APIRouter(prefix="/operations", tags=["operations"])


class LeakFinding(BaseModel):
    """What renders of one kind of drawing leave behind in their workers."""

    format: str = Field(description="Of the drawing.")
    engine: str = Field(description="Version of the engine.")
    sureness: Confidence = Field(description="How sure it is that such renders leak.")
    gauge: str = Field(description="What saw it: `pixels`, `heap` or `files`.")
    jobs: int = Field(description="Jobs that could be judged.")
    leaving: int = Field(description="Those of them that left something.")
    bytes: int = Field(description="What stays of a job for good.")
    files: float = Field(description="Open files that stay of a job.")


class LeakReport(BaseModel):
    """As `bulkhead leaks status` tells it, the worst first; empty while nothing was measured."""

    findings: list[LeakFinding]


class TicketRotationStatus(BaseModel):
    """The rotation of TLS ticket keys, as the ledger knows it. Without a fleet the generation is 0."""

    generation: int = Field(description="Keys that came since the fleet's first.")
    rotated_at: float | None = Field(description="When the last one came, in seconds since 1970.")
    interval: float = Field(description="Seconds after which the next one is due (BULKHEAD_TICKETS_INTERVAL).")
    result: str = Field(description="Of the last run, in a word.")
    rotating: bool = Field(description="A rotation is under way.")


class CoalescerStatus(BaseModel):
    """How far the coalescer is; `last` is null while it has written nothing."""

    last: LastFlush | None
    age: float | None = Field(description="Seconds since the last window was written.")
    late: float | None = Field(description="Seconds from when the broker took its last beat until it was written.")


@router.get("/leaks", responses=problem_responses(401, 503))
async def get_leaks(house: ServicesDep, tenant: Tenant) -> LeakReport:  # noqa: ARG001 - a token of any tenant opens it
    """What the last renders left behind in their workers, by kind of drawing and engine version."""
    recent = await house.run_read(latest_attempts, house.ledger.database, MAX_JOBS)
    return LeakReport(findings=[LeakFinding.model_validate(asdict(found)) for found in find_leaks(residues(recent))])


@router.get("/tickets", responses=problem_responses(401, 503))
async def get_ticket_rotation(house: ServicesDep, tenant: Tenant) -> TicketRotationStatus:  # noqa: ARG001 - a token of any tenant opens it
    """How far the rotation of ticket keys has come; `bulkhead tickets status` asks the nodes themselves."""
    row = await house.run_read(house.ledger.rotations.find)
    return TicketRotationStatus(
        generation=row.generation,
        rotated_at=row.rotated_at,
        interval=house.settings.tickets_interval,
        result=row.result,
        rotating=row.lease_expires_at is not None and row.lease_expires_at > house.clock(),
    )


@router.get("/heartbeats", responses=problem_responses(401, 503))
async def get_coalescer_status(house: ServicesDep, tenant: Tenant) -> CoalescerStatus:  # noqa: ARG001 - a token of any tenant opens it
    """How the coalescer's last flush went. Without Redis nothing tells: then it is a 503 problem."""
    try:
        last = await require_readings(house).last_flush()
    except RedisError as error:
        raise redis_unavailable() from error
    if last is None:
        return CoalescerStatus(last=None, age=None, late=None)
    return CoalescerStatus(
        last=last, age=house.clock() - last.flushed_at, late=max(0.0, last.flushed_at - last.received_at)
    )
