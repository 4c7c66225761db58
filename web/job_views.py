"""What a client is told about a job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path
from pydantic import BaseModel, Field

from tasks.jobs import FINAL, Attempt, Job, Outcome, State
from tasks.messaging.progress import ProgressMessage as ProgressMessage
from tasks.renders import ALL_LAYERS
from web.access.signed_links import signed_query
from web.dependencies import Services
from web.problems import Problem
from web.progress.hub import wait_for_final_event

POLL_INTERVAL = 1.0  # seconds between two looks into the ledger while a client waits, in case a message was lost

RenderId = Annotated[UUID, Path(description="Id of the render.")]


class Progress(BaseModel):
    """How far the job is."""

    percent: int = Field(ge=0, le=100)
    stage: str = Field("", description="plan, open, draw, compose, encode, manifest …")
    layer: str = Field("", description="The layer at work, if any.")


class AttemptView(BaseModel):
    """One try at the job by one worker child."""

    number: int
    outcome: Outcome
    started_at: datetime
    ended_at: datetime | None
    cause: str | None = Field(description="Why it ended early, in a word.")
    explanation: str | None = Field(
        description="Why it ended early, in a sentence: `Attempt 2 was killed by the kernel at 505 MB while encoding "
        "layer PIPES (planned 120 MB).`"
    )
    facts: dict[str, Any] | None = Field(
        description="What was measured, in seconds and bytes: `seconds`, `cpu_seconds`, `peak_bytes`, `planned_bytes`, "
        "`plan_error`; what it left behind: `memory_growth_bytes`, `spilled_bytes`, `descriptor_growth`; what its "
        "process then held: `heap_bytes`, `pixel_bytes`, `open_files`; its `engine`; where it died: `stage`, `layer`, "
        "`resident_bytes`, `cgroup`."
    )


class JobError(BaseModel):
    """Why the job did not succeed."""

    code: str
    detail: str


class AcceptedRender(BaseModel):
    """A job in short."""

    id: str = Field(json_schema_extra={"format": "uuid"})
    state: State
    links: dict[str, str] = Field(description="Where to go from here: `self`, `events`, and the outputs once there.")


class RenderSummary(AcceptedRender):
    """A job in a list."""

    filename: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    size: int | None = Field(description="Bytes of the drawing.")
    error: JobError | None


class Render(RenderSummary):
    """All that is known about a job."""

    source: str = Field(description="Key of the drawing in the store; name it to render it again otherwise.")
    digest: str | None = Field(description="SHA-256 of the drawing, in hex.")
    options: dict[str, Any]
    queue: str = Field(description="The queue that it goes through: `render`, `render.tiles` or `render.large`.")
    plan: dict[str, Any] | None = Field(description="What it was expected to cost, from the drawing's header.")
    progress: Progress
    attempts: list[AttemptView]

    def attempt(self) -> int:
        """Number of the last attempt, 0 before the first."""
        return self.attempts[-1].number if self.attempts else 0


class RenderPage(BaseModel):
    """Jobs, newest first."""

    renders: list[RenderSummary]
    next: str | None = Field(description="Address of the next page, null at the end.")


def render_links(house: Services, job: Job) -> dict[str, str]:
    own = f"/renders/{job.id}"
    links = {"self": own, "events": f"{own}/events"}
    if job.state is State.SUCCEEDED:
        kind = "png" if job.options.get("format") == "png" else "webp"
        signed = signed_query(house.settings, job, house.clock())
        links |= {"manifest": f"{own}/manifest.json{signed}", "preview": f"{own}/preview.{kind}{signed}"}
        if job.options.get("tiles") and job.options.get("tile_layer", ALL_LAYERS) == ALL_LAYERS:
            links["tiles"] = f"{own}/tiles.dzi{signed}"
    return links


def accepted_view(house: Services, job: Job) -> AcceptedRender:
    return AcceptedRender(id=job.id, state=job.state, links=render_links(house, job))


def summary_view(house: Services, job: Job) -> RenderSummary:
    return RenderSummary(**common_fields(house, job))


def render_view(house: Services, job: Job, attempts: Sequence[Attempt]) -> Render:
    """What the ledger says."""
    done = 100 if job.state is State.SUCCEEDED else 0
    return Render(
        **common_fields(house, job),
        source=job.source,
        digest=job.digest,
        options=job.options,
        queue=job.queue,
        plan=job.plan,
        progress=Progress(percent=done, stage="", layer=""),
        attempts=[
            AttemptView(
                number=attempt.number,
                outcome=attempt.outcome,
                started_at=to_datetime(attempt.started_at),
                ended_at=to_datetime(attempt.ended_at) if attempt.ended_at is not None else None,
                cause=attempt.cause,
                explanation=attempt.explanation,
                facts=attempt.facts,
            )
            for attempt in attempts
        ],
    )


def with_progress(view: Render, message: ProgressMessage | None) -> Render:
    """The view with the workers' last word; that about a former attempt does not count."""
    if message is None or view.state is not State.RUNNING or message.attempt != view.attempt():
        return view
    return view.model_copy(
        update={"progress": Progress(percent=message.percent, stage=message.stage, layer=message.layer)}
    )


def common_fields(house: Services, job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "links": render_links(house, job),
        "filename": job.filename,
        "created_at": to_datetime(job.created_at),
        "updated_at": to_datetime(job.updated_at),
        "finished_at": to_datetime(job.finished_at) if job.finished_at is not None else None,
        "size": job.size,
        "error": JobError(code=job.error["code"], detail=job.error["detail"]) if job.error else None,
    }


def to_datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def find_job(house: Services, tenant: str, job_id: str) -> Job:
    """The tenant's job. Raises a 404 problem, also for the job of another one."""
    job = await house.run_read(house.ledger.jobs.find, job_id, tenant)
    if job is None:
        raise render_not_found()
    return job


def render_not_found() -> Problem:
    return Problem(404, "no-such-render", "There is no such render; GET /renders lists those there are.")


async def find_rendered_job(house: Services, tenant: str, job_id: str) -> Job:
    """As `find`, where a job that has succeeded is remembered for some seconds: a viewer asks for tiles by the hundred.

    So the outputs of a render may be had for as long after its removal, if their files are another job's, too.
    """
    job = await find_cached_job(house, job_id)
    if job is None or job.tenant != tenant:
        raise render_not_found()
    return job


async def find_cached_job(house: Services, job_id: str) -> Job | None:
    """The job, of whatever tenant; whoever asks has to look whose it is."""
    known: Job | None = house.rendered_jobs.get(job_id)
    if known is not None:
        return known
    job = await house.run_read(house.ledger.jobs.find, job_id)
    if job is not None and job.state is State.SUCCEEDED:
        house.rendered_jobs[job_id] = job
    return job


async def load_render(house: Services, tenant: str, job_id: str) -> Render:
    """Everything about the tenant's job. Raises a 404 problem."""
    job = await find_job(house, tenant, job_id)
    attempts = await house.run_read(house.ledger.attempts.history, job_id)
    return with_progress(render_view(house, job, attempts), house.progress_hub.latest(job_id))


async def wait_until_finished(house: Services, tenant: str, job_id: str, seconds: float) -> Job:
    """The job when it is settled, or as it is after so many seconds."""
    deadline = house.clock() + seconds
    with house.progress_hub.subscribe(job_id) as words:
        while True:
            job = await find_job(house, tenant, job_id)
            remaining = deadline - house.clock()
            if job.state in FINAL or remaining <= 0:
                return job
            await wait_for_final_event(words, min(POLL_INTERVAL, remaining))
