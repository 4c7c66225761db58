"""A job's life as server-sent events: its state now, its progress as it comes, its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from tasks.jobs import FINAL
from tasks.messaging.progress import Progress as ProgressMessage
from web.access.authentication import Tenant
from web.dependencies import House, Services
from web.job_views import Progress, Render, RenderId, find, look_up, with_progress
from web.problems import Problem, declare
from web.progress import server_sent_events
from web.progress.hub import next_word

END = "end"  # id of the last event: a browser that comes back with it is told to stay away

router = APIRouter(tags=["renders"])

EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["render", "progress"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"const": END},
    },
    "required": ["event", "data"],
}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `render` (the whole of GET /renders/{render}) and `progress` (percent, stage, layer). "
        "The stream ends with a `render` in a final state.",
        "content": {server_sent_events.MEDIA_TYPE: {"schema": EVENT}},
    },
    204: {"description": "The client has seen the end already (`Last-Event-ID: end`)."},
    **declare(401, 404, 422, 503),
}


@router.get("/renders/{render}/events", response_class=Response, responses=STREAM)
async def events(
    house: House, tenant: Tenant, render: RenderId, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """Watch a render."""
    job = await find(house, tenant, str(render))
    if last_event_id == END and job.state in FINAL:
        return Response(status_code=204)
    return server_sent_events.answer(stream(house, tenant, job.id))


async def stream(house: Services, tenant: str, job_id: str) -> AsyncIterator[str]:
    with house.watchers.watch(job_id) as words, house.metrics.watching.track_inprogress():
        shown = None
        while True:
            try:
                seen = await house.watchers.look(job_id, partial(look_up, house, tenant, job_id))
            except Problem:
                return  # removed meanwhile
            view = with_progress(seen, house.watchers.latest(job_id))
            yield render_event(view) if view != shown else server_sent_events.KEEP_ALIVE
            if view.state in FINAL:
                return
            shown = view
            while (word := await next_word(words, server_sent_events.rest())) is None or is_progress_of(word, view):
                yield progress_event(word) if word else server_sent_events.KEEP_ALIVE


def is_progress_of(word: ProgressMessage, view: Render) -> bool:
    """Whether `word` only goes on with what `view` shows; else something changed that the ledger knows better."""
    return word.state == view.state and word.attempt == view.attempt()


def render_event(view: Render) -> str:
    return server_sent_events.event("render", view.model_dump_json(), END if view.state in FINAL else "")


def progress_event(word: ProgressMessage) -> str:
    progress = Progress(percent=word.percent, stage=word.stage, layer=word.layer)
    return server_sent_events.event("progress", progress.model_dump_json())
