"""Server-sent events of a job: its current state, its progress and its final state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from tasks.jobs import FINAL
from tasks.messaging.progress import ProgressMessage
from web.access.authentication import Tenant
from web.dependencies import Services, ServicesDep
from web.job_lookup import find_job, load_render
from web.job_views import Progress, Render, RenderId, with_progress
from web.problems import Problem, problem_responses
from web.progress import server_sent_events
from web.progress.hub import next_event

END_EVENT_ID = "end"  # id of the last event; a browser that reconnects with it gets a 204 and stops

router = APIRouter(tags=["renders"])

EVENT_SCHEMA = {
    "type": "object",
    "properties": {
        "event": {"enum": ["render", "progress"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"const": END_EVENT_ID},
    },
    "required": ["event", "data"],
}
STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `render` (the whole of GET /renders/{render}) and `progress` (percent, stage, layer). "
        "The stream ends with a `render` in a final state.",
        "content": {server_sent_events.MEDIA_TYPE: {"schema": EVENT_SCHEMA}},
    },
    204: {"description": "The client has already received the final event (`Last-Event-ID: end`)."},
    **problem_responses(401, 404, 422, 503),
}


@router.get("/renders/{render}/events", response_class=Response, responses=STREAM_RESPONSES)
async def events(
    services: ServicesDep, tenant: Tenant, render: RenderId, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """Stream the state and progress of a render."""
    job = await find_job(services, tenant, str(render))
    if last_event_id == END_EVENT_ID and job.state in FINAL:
        return Response(status_code=204)
    return server_sent_events.stream_response(stream(services, tenant, job.id))


async def stream(services: Services, tenant: str, job_id: str) -> AsyncIterator[str]:
    with services.progress_hub.subscribe(job_id) as messages, services.metrics.event_streams.track_inprogress():
        sent = None
        while True:
            try:
                loaded = await services.progress_hub.get_view(job_id, partial(load_render, services, tenant, job_id))
            except Problem:
                return  # the job was removed
            view = with_progress(loaded, services.progress_hub.latest(job_id))
            yield render_event(view) if view != sent else server_sent_events.KEEP_ALIVE
            if view.state in FINAL:
                return
            sent = view
            message = await next_event(messages, server_sent_events.keep_alive_delay())
            while message is None or is_progress_of(message, view):
                yield progress_event(message) if message else server_sent_events.KEEP_ALIVE
                message = await next_event(messages, server_sent_events.keep_alive_delay())


def is_progress_of(message: ProgressMessage, view: Render) -> bool:
    """Whether `message` only updates the progress in `view`. Otherwise the job must be read from the ledger again."""
    return message.state == view.state and message.attempt == view.attempt()


def render_event(view: Render) -> str:
    return server_sent_events.format_event(
        "render", view.model_dump_json(), END_EVENT_ID if view.state in FINAL else ""
    )


def progress_event(message: ProgressMessage) -> str:
    progress = Progress(percent=message.percent, stage=message.stage, layer=message.layer)
    return server_sent_events.format_event("progress", progress.model_dump_json())
