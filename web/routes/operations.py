"""What an operator looks at: lanes, jobs by state, workers; and another try for what is dead."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from tasks.jobs.replay import replay
from web.access.authentication import Tenant
from web.dependencies import ServicesDep
from web.job_views import AcceptedRender, RenderId, accepted_view, find_job
from web.problems import Problem, problem_responses
from web.routes.health import jobs_by_state, queue_depths

router = APIRouter(tags=["operations"])


class MemoryView(BaseModel):
    """The memory cgroup around a worker, all its processes together, in bytes; null where nothing tells."""

    current: int | None
    peak: int | None = Field(description="The most since the worker's unit was started.")
    limit: int | None = Field(description="Where the kernel kills; null: there is none.")


class WorkerView(BaseModel):
    """A worker that answers."""

    name: str
    pid: int = Field(description="Process of the parent, on its own host.")
    children: list[int] = Field(description="Processes that render.")
    done: int = Field(description="Jobs since it is up.")
    uptime: float = Field(description="Seconds.")
    fence: MemoryView
    recycled: int = Field(description="Children that were replaced between two jobs, for age, jobs or growth.")
    died: int = Field(description="Children that ended otherwise: killed, or crashed.")


class Operations(BaseModel):
    """How the platform does; what does not answer is left out."""

    jobs: dict[str, int] = Field(description="Jobs in the ledger by state, of all tenants.")
    waiting: dict[str, int] = Field(description="Messages that wait for a worker, by lane.")
    workers: list[WorkerView]


@router.get("/operations", responses=problem_responses(401))
async def get_operations(house: ServicesDep, tenant: Tenant) -> Operations:  # noqa: ARG001 - a token of any tenant opens it
    """Lanes, jobs by state, and the workers that answered within a second, some seconds ago at most."""
    depths = await queue_depths(house)
    found = await house.worker_stats.get(house.run_read) if depths else []
    views = [WorkerView.model_validate(asdict(each)) for each in found]
    return Operations(jobs=await jobs_by_state(house), waiting=dict(depths), workers=views)


@router.post(
    "/renders/{render}/replay",
    status_code=202,
    response_model=AcceptedRender,
    responses=problem_responses(401, 404, 409, 422, 503),
)
async def replay_render(house: ServicesDep, tenant: Tenant, render: RenderId) -> Response:
    """Try a render again that failed, died or was cancelled, after a fix."""
    job = await find_job(house, tenant, str(render))
    replayed = await house.run_write(replay, house.ledger, house.dead_letters, house.publisher, job.id, house.clock())
    if replayed is None:
        raise Problem(
            409, "not-settled", f"This render is {job.state}: it is tried again once it failed, died or was cancelled."
        )
    return JSONResponse(accepted_view(house, replayed).model_dump(mode="json"), 202, {"location": f"/renders/{job.id}"})
