"""Status of queues, jobs and workers for operators, and the replay of finished jobs."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from tasks.jobs.replay import replay
from web.access.authentication import Tenant
from web.dependencies import ServicesDep
from web.job_lookup import find_job
from web.job_views import AcceptedRender, RenderId, accepted_view
from web.problems import Problem, problem_responses
from web.routes.health import jobs_by_state, queue_depths

router = APIRouter(tags=["operations"])


class MemoryView(BaseModel):
    """Memory of a worker's cgroup, all its processes together, in bytes; null if unknown."""

    model_config = ConfigDict(from_attributes=True)

    current: int | None
    peak: int | None = Field(description="Peak since the worker's unit was started.")
    limit: int | None = Field(description="Limit above which the kernel kills processes; null without a limit.")


class WorkerView(BaseModel):
    """A worker that replied to the inspection."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    pid: int = Field(description="Process id of the parent, on its host.")
    children: list[int] = Field(description="Process ids of the child processes.")
    completed_jobs: int = Field(description="Jobs completed since the worker started.")
    uptime: float = Field(description="Seconds since the worker started.")
    memory: MemoryView
    recycled: int = Field(
        description="Child processes that were replaced between two jobs: for their age, job count or memory growth."
    )
    crashed: int = Field(description="Child processes that were killed or crashed.")


class Operations(BaseModel):
    """Status of the platform; services that do not answer are omitted."""

    jobs: dict[str, int] = Field(description="Jobs of all tenants by state.")
    waiting: dict[str, int] = Field(description="Messages waiting for a worker, by queue.")
    workers: list[WorkerView]


@router.get("/operations", responses=problem_responses(401))
async def get_operations(services: ServicesDep, tenant: Tenant) -> Operations:  # noqa: ARG001 - for authentication
    """Queue depths, jobs by state, and the workers that replied within a second, cached for some seconds."""
    depths = await queue_depths(services)
    workers = await services.worker_stats.get(services.run_read) if depths else []
    return Operations(
        jobs=await jobs_by_state(services),
        waiting=dict(depths),
        workers=[WorkerView.model_validate(worker) for worker in workers],
    )


@router.post(
    "/renders/{render}/replay",
    status_code=202,
    response_model=AcceptedRender,
    responses=problem_responses(401, 404, 409, 422, 503),
)
async def replay_render(services: ServicesDep, tenant: Tenant, render: RenderId) -> Response:
    """Run a failed, dead or cancelled render again."""
    job = await find_job(services, tenant, str(render))
    replayed = await services.run_write(
        replay, services.ledger, services.dead_letters, services.publisher, job.id, services.clock()
    )
    if replayed is None:
        raise Problem(
            409, "not-finished", f"This render is {job.state}. Only failed, dead and cancelled renders can be replayed."
        )
    return JSONResponse(
        accepted_view(services, replayed).model_dump(mode="json"), 202, {"location": f"/renders/{job.id}"}
    )
