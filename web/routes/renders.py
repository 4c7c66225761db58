"""Asking for renders, listing them, looking at one, taking one away."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from tasks.jobs import FINAL, Job, LedgerUnavailable, State
from tasks.messaging.progress import Progress
from tasks.renders import RenderOptions, source_key
from web.access.authentication import Tenant
from web.cursors import PATTERN, decode_cursor, encode_cursor
from web.dependencies import House, Services
from web.job_views import Accepted, Render, RenderId, RenderPage, accepted, find, look_up, summary, wait_for_end
from web.problems import declare
from web.removal import take_away
from web.submit.idempotency import PATTERN as KEY_PATTERN
from web.submit.idempotency import parse_key
from web.submit.prefer import parse_wait
from web.submit.submission import Submission, submit
from web.submit.trace_context import parse_traceparent
from web.submit.uploads import RenderRequest, read_request

LOOK_AGAIN = 1  # seconds; a client that polls should wait that long
PAGE = 50
LONGEST_PAGE = 200

router = APIRouter(tags=["renders"])


def form_schema() -> dict[str, Any]:
    """JSON Schema of the multipart form: the drawing and every option as a field."""
    options = RenderOptions.model_json_schema()
    others = {name: RenderRequest.model_json_schema()["properties"][name] for name in ("preset", "webhook")}
    drawing = {
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": "The drawing: DXF, SVG, PDF, PNG, JPEG, TIFF or WebP.",
    }
    return {
        **options,
        "title": "RenderForm",
        "properties": {"blueprint": drawing, **others, **options["properties"]},
        "required": ["blueprint"],
    }


BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": form_schema()},
            "application/json": {"schema": {"$ref": "#/components/schemas/RenderRequest"}},
        },
    }
}
LOCATION = {"Location": {"description": "The render.", "schema": {"type": "string"}}}
ASKED: dict[int | str, dict[str, Any]] = {
    200: {"model": Render, "description": "Settled within the time of `Prefer: wait`.", "headers": LOCATION},
    202: {
        "description": "Accepted durably: the broker has confirmed it.",
        "headers": {**LOCATION, "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
    },
    **declare(400, 401, 404, 409, 413, 415, 422, 429, 503, 507),
}


@router.post("/renders", status_code=202, response_model=Accepted, responses=ASKED, openapi_extra=BODY)
async def create(
    request: Request,
    house: House,
    tenant: Tenant,
    idempotency_key: Annotated[
        str | None, Header(description="Makes a retry the same job.", json_schema_extra={"pattern": KEY_PATTERN})
    ] = None,
    prefer: Annotated[list[str] | None, Header(description="`wait=N`: seconds to wait for the end.")] = None,
    traceparent: Annotated[str | None, Header(description="W3C trace context.")] = None,
) -> Response:
    """Ask for a render: send the drawing in a form, or name one that lies in the store."""
    key = parse_key(idempotency_key)
    house.check_backlog()
    await house.gate.admit()
    job_id = str(uuid4())
    asked = await read_request(request, house, tenant, source_key(tenant, job_id))
    job = await house.run(submit, house, Submission(job_id, tenant, asked, key, parse_traceparent(traceparent)))
    return await answer(house, job, parse_wait(prefer or []))


async def answer(house: Services, job: Job, wait: int | None) -> Response:
    """202, or 200 with everything if the client would wait and the job is settled in time."""
    headers = {"location": f"/renders/{job.id}", "cache-control": "no-store"}
    if wait is not None:
        headers["preference-applied"] = f"wait={wait}"
        with suppress(LedgerUnavailable):  # the job is accepted, also if nobody can tell how it fares
            job = await wait_for_end(house, job.tenant, job.id, wait)
            if job.state in FINAL:
                whole = await look_up(house, job.tenant, job.id)
                return JSONResponse(whole.model_dump(mode="json"), 200, headers)
    headers["retry-after"] = str(LOOK_AGAIN)
    return JSONResponse(accepted(house, job).model_dump(mode="json"), 202, headers)


@router.get("/renders", responses=declare(401, 422, 503))
async def listing(
    house: House,
    tenant: Tenant,
    q: Annotated[str, Query(max_length=100, description="Part of the file name, or the start of an id.")] = "",
    state: Annotated[list[State] | None, Query(description="Only jobs in these states.")] = None,
    parts: Annotated[bool, Query(description="Also those that only cut tiles of one layer (`tile_layer`).")] = True,
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = PAGE,
    cursor: Annotated[str | None, Query(pattern=PATTERN, description="Taken from `next` of the page before.")] = None,
) -> RenderPage:
    """Your renders, newest first."""
    states: Sequence[State] = state or ()
    page = await house.look(
        house.ledger.jobs.page, tenant, after=decode_cursor(cursor), limit=limit, search=q, states=states, parts=parts
    )
    following = None
    if page.next:
        query = {"q": q, "state": list(states), "limit": limit, "cursor": encode_cursor(page.next)}
        query |= {} if parts else {"parts": "false"}
        following = f"/renders?{urlencode({name: value for name, value in query.items() if value}, doseq=True)}"
    return RenderPage(renders=[summary(house, job) for job in page.jobs], next=following)


@router.get("/renders/{render}", responses=declare(401, 404, 422, 503))
async def read(response: Response, house: House, tenant: Tenant, render: RenderId) -> Render:
    """Everything about a render: state, progress, attempts and their story, plan, error."""
    response.headers["cache-control"] = "no-store"
    return await look_up(house, tenant, str(render))


@router.delete(
    "/renders/{render}",
    status_code=202,
    response_model=Accepted,
    responses={
        202: {"description": "It was open, and is cancelled."},
        204: {"description": "It was settled, and is removed with its source and outputs."},
        **declare(401, 404, 422, 503),
    },
)
async def remove(house: House, tenant: Tenant, render: RenderId) -> Response:
    """Cancel a render that is not settled; remove one that is."""
    job = await find(house, tenant, str(render))
    house.rendered.pop(job.id, None)
    if not await house.run(take_away, house, job):
        return Response(status_code=204)
    cancelled = replace(job, state=State.CANCELLED)
    house.watchers.tell(Progress(job=job.id, tenant=tenant, state=cancelled.state, attempt=job.attempt, percent=0))
    return JSONResponse(accepted(house, cancelled).model_dump(mode="json"), 202)
