"""What an operator looks at now and then: leaks of renders, keys of TLS tickets, heartbeats."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from pydantic import BaseModel, Field

from tasks.jobs import lately
from tasks.jobs.leak_detection import LATEST, Sureness, judge, leftovers
from tasks.sensors import Coalesced
from web.access.authentication import Tenant
from web.dependencies import House
from web.problems import declare
from web.readings.redis_readings import RedisError
from web.routes.sensors import away, sensors_of

router = APIRouter(prefix="/operations", tags=["operations"])


class LeakView(BaseModel):
    """What renders of one kind of drawing leave behind in their workers."""

    format: str = Field(description="Of the drawing.")
    engine: str = Field(description="Version of the engine.")
    sureness: Sureness = Field(description="How sure it is that such renders leak.")
    gauge: str = Field(description="What saw it: `pixels`, `heap` or `files`.")
    jobs: int = Field(description="Jobs that could be judged.")
    leaving: int = Field(description="Those of them that left something.")
    bytes: int = Field(description="What stays of a job for good.")
    files: float = Field(description="Open files that stay of a job.")


class LeakWatch(BaseModel):
    """As `bulkhead leaks status` tells it, the worst first; empty while nothing was measured."""

    findings: list[LeakView]


class TicketKeys(BaseModel):
    """The rotation of TLS ticket keys, as the ledger knows it. Without a fleet the generation is 0."""

    generation: int = Field(description="Keys that came since the fleet's first.")
    rotated_at: float | None = Field(description="When the last one came, in seconds since 1970.")
    interval: float = Field(description="Seconds after which the next one is due (BULKHEAD_TICKETS_INTERVAL).")
    result: str = Field(description="Of the last run, in a word.")
    rotating: bool = Field(description="A rotation is under way.")


class Coalescing(BaseModel):
    """How far the coalescer is; `last` is null while it has written nothing."""

    last: Coalesced | None
    age: float | None = Field(description="Seconds since the last window was written.")
    late: float | None = Field(description="Seconds from when the broker took its last beat until it was written.")


@router.get("/leaks", responses=declare(401, 503))
async def leaks(house: House, tenant: Tenant) -> LeakWatch:  # noqa: ARG001 - a token of any tenant opens it
    """What the last renders left behind in their workers, by kind of drawing and engine version."""
    recent = await house.look(lately, house.ledger.database, LATEST)
    return LeakWatch(findings=[LeakView.model_validate(asdict(found)) for found in judge(leftovers(recent))])


@router.get("/tickets", responses=declare(401, 503))
async def tickets(house: House, tenant: Tenant) -> TicketKeys:  # noqa: ARG001 - a token of any tenant opens it
    """How far the rotation of ticket keys has come; `bulkhead tickets status` asks the nodes themselves."""
    row = await house.look(house.ledger.rotations.find)
    return TicketKeys(
        generation=row.generation,
        rotated_at=row.rotated_at,
        interval=house.settings.tickets_interval,
        result=row.result,
        rotating=row.lease_until is not None and row.lease_until > house.clock(),
    )


@router.get("/heartbeats", responses=declare(401, 503))
async def heartbeats(house: House, tenant: Tenant) -> Coalescing:  # noqa: ARG001 - a token of any tenant opens it
    """How the coalescer's last flush went. Without Redis nothing tells: then it is a 503 problem."""
    try:
        last = await sensors_of(house).coalesced()
    except RedisError as error:
        raise away() from error
    if last is None:
        return Coalescing(last=None, age=None, late=None)
    return Coalescing(last=last, age=house.clock() - last.flushed_at, late=max(0.0, last.flushed_at - last.recorded_at))
