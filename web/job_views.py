"""Representations of jobs in responses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path
from pydantic import BaseModel, Field

from tasks.jobs import Attempt, Job, Outcome, State
from tasks.messaging.progress import ProgressMessage
from tasks.renders import ALL_LAYERS
from web.access.signed_links import signed_query
from web.dependencies import Services

RenderId = Annotated[UUID, Path(description="Id of the render.")]


class Progress(BaseModel):
    """Progress of the job."""

    percent: int = Field(ge=0, le=100)
    stage: str = Field("", description="plan, open, draw, compose, encode, manifest …")
    layer: str = Field("", description="Name of the layer being processed, if any.")


class AttemptView(BaseModel):
    """One attempt at the job by one worker process."""

    number: int
    outcome: Outcome
    started_at: datetime
    ended_at: datetime | None
    cause: str | None = Field(description="Why the attempt failed, in a word.")
    explanation: str | None = Field(
        description="Why the attempt failed, in a sentence: `Attempt 2 was killed by the kernel at 482 MiB while "
        "encoding layer PIPES (planned 114 MiB).`"
    )
    facts: dict[str, Any] | None = Field(
        description="Measurements in seconds and bytes: `seconds`, `cpu_seconds`, `peak_bytes`, `planned_bytes`, "
        "`plan_error`; what it left behind in its process: `memory_growth_bytes`, `heap_growth_bytes`, `pixel_bytes`, "
        "`spilled_bytes`, `descriptor_growth` and, if it was sampled, `heap_leaked_bytes`; its `engine`; where it "
        "crashed: `stage`, `layer`, `resident_bytes`, `cgroup`, `render_cgroup`."
    )


class JobError(BaseModel):
    """Why the job did not succeed."""

    code: str
    detail: str


class AcceptedRender(BaseModel):
    """A job, abbreviated."""

    id: str = Field(json_schema_extra={"format": "uuid"})
    state: State
    links: dict[str, str] = Field(
        description="URLs of the render (`self`), its `events`, and its outputs once it has succeeded."
    )


class RenderSummary(AcceptedRender):
    """A job in a list."""

    filename: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    size: int | None = Field(description="Size of the drawing in bytes.")
    error: JobError | None


class Render(RenderSummary):
    """A job with all its details."""

    source: str = Field(
        description="Key of the drawing in the store. Use it to render the drawing again with other options."
    )
    digest: str | None = Field(description="SHA-256 of the drawing, in hex.")
    options: dict[str, Any]
    queue: str = Field(description="Name of its queue: `render`, `render.tiles` or `render.large`.")
    plan: dict[str, Any] | None = Field(description="Estimated cost, from the drawing's header.")
    progress: Progress
    attempts: list[AttemptView]

    def attempt(self) -> int:
        """Number of the last attempt, 0 before the first."""
        return self.attempts[-1].number if self.attempts else 0


class RenderPage(BaseModel):
    """Jobs, newest first."""

    renders: list[RenderSummary]
    next: str | None = Field(description="URL of the next page; null on the last page.")


def render_links(services: Services, job: Job) -> dict[str, str]:
    url = f"/renders/{job.id}"
    links = {"self": url, "events": f"{url}/events"}
    if job.state is State.SUCCEEDED:
        kind = "png" if job.options.get("format") == "png" else "webp"
        signed = signed_query(services.settings, job, services.clock())
        links |= {"manifest": f"{url}/manifest.json{signed}", "preview": f"{url}/preview.{kind}{signed}"}
        if job.options.get("tiles") and job.options.get("tile_layer", ALL_LAYERS) == ALL_LAYERS:
            links["tiles"] = f"{url}/tiles.dzi{signed}"
    return links


def accepted_view(services: Services, job: Job) -> AcceptedRender:
    return AcceptedRender(id=job.id, state=job.state, links=render_links(services, job))


def summary_view(services: Services, job: Job) -> RenderSummary:
    return RenderSummary(**common_fields(services, job))


def render_view(services: Services, job: Job, attempts: Sequence[Attempt]) -> Render:
    """The render as recorded in the ledger, without live progress."""
    return Render(
        **common_fields(services, job),
        source=job.source,
        digest=job.digest,
        options=job.options,
        queue=job.queue,
        plan=job.plan,
        progress=Progress(percent=100 if job.state is State.SUCCEEDED else 0, stage="", layer=""),
        attempts=[AttemptView.model_validate(attempt, from_attributes=True) for attempt in attempts],
    )


def with_progress(view: Render, message: ProgressMessage | None) -> Render:
    """The view with the latest progress message, unless that belongs to a previous attempt."""
    if message is None or view.state is not State.RUNNING or message.attempt != view.attempt():
        return view
    return view.model_copy(
        update={"progress": Progress(percent=message.percent, stage=message.stage, layer=message.layer)}
    )


def common_fields(services: Services, job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "links": render_links(services, job),
        "filename": job.filename,
        "created_at": to_datetime(job.created_at),
        "updated_at": to_datetime(job.updated_at),
        "finished_at": to_datetime(job.finished_at) if job.finished_at is not None else None,
        "size": job.size,
        "error": JobError(code=job.error["code"], detail=job.error["detail"]) if job.error else None,
    }


def to_datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
