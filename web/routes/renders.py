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

from tasks.jobs import FINAL, Job, LedgerError, State
from tasks.messaging.progress import ProgressMessage
from tasks.renders import RenderOptions, source_key
from web.access.authentication import Tenant
from web.cursors import CURSOR_PATTERN, decode_cursor, encode_cursor
from web.dependencies import Services, ServicesDep
from web.job_views import (
    AcceptedRender,
    Render,
    RenderId,
    RenderPage,
    accepted_view,
    find_job,
    load_render,
    summary_view,
    wait_until_finished,
)
from web.problems import problem_responses
from web.removal import cancel_or_remove
from web.submit.idempotency import KEY_PATTERN as KEY_PATTERN
from web.submit.idempotency import parse_key
from web.submit.prefer import parse_wait
from web.submit.submission import Submission, submit
from web.submit.trace_context import parse_traceparent
from web.submit.uploads import RenderRequest, read_request

POLL_INTERVAL = 1  # seconds; a client that polls should wait that long
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200

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


OPENAPI_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": form_schema()},
            "application/json": {"schema": {"$ref": "#/components/schemas/RenderRequest"}},
        },
    }
}
LOCATION = {"Location": {"description": "The render.", "schema": {"type": "string"}}}
CREATE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": Render, "description": "Settled within the time of `Prefer: wait`.", "headers": LOCATION},
    202: {
        "description": "Accepted durably: the broker has confirmed it.",
        "headers": {**LOCATION, "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
    },
    **problem_responses(400, 401, 404, 409, 413, 415, 422, 429, 503, 507),
}


@router.post(
    "/renders", status_code=202, response_model=AcceptedRender, responses=CREATE_RESPONSES, openapi_extra=OPENAPI_BODY
)
async def create_render(
    request: Request,
    house: ServicesDep,
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
    await house.admission.check()
    job_id = str(uuid4())
    asked = await read_request(request, house, tenant, source_key(tenant, job_id))
    job = await house.run_write(submit, house, Submission(job_id, tenant, asked, key, parse_traceparent(traceparent)))
    return await respond(house, job, parse_wait(prefer or []))


async def respond(house: Services, job: Job, wait: int | None) -> Response:
    """202, or 200 with everything if the client would wait and the job is settled in time."""
    headers = {"location": f"/renders/{job.id}", "cache-control": "no-store"}
    if wait is not None:
        headers["preference-applied"] = f"wait={wait}"
        with suppress(LedgerError):  # the job is accepted, also if nobody can tell how it fares
            job = await wait_until_finished(house, job.tenant, job.id, wait)
            if job.state in FINAL:
                whole = await load_render(house, job.tenant, job.id)
                return JSONResponse(whole.model_dump(mode="json"), 200, headers)
    headers["retry-after"] = str(POLL_INTERVAL)
    return JSONResponse(accepted_view(house, job).model_dump(mode="json"), 202, headers)


@router.get("/renders", responses=problem_responses(401, 422, 503))
async def list_renders(
    house: ServicesDep,
    tenant: Tenant,
    q: Annotated[str, Query(max_length=100, description="Part of the file name, or the start of an id.")] = "",
    state: Annotated[list[State] | None, Query(description="Only jobs in these states.")] = None,
    include_tile_jobs: Annotated[
        bool, Query(description="Also those that only cut tiles of one layer (`tile_layer`).")
    ] = True,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
    cursor: Annotated[
        str | None, Query(pattern=CURSOR_PATTERN, description="Taken from `next` of the page before.")
    ] = None,
) -> RenderPage:
    """Your renders, newest first."""
    states: Sequence[State] = state or ()
    page = await house.run_read(
        house.ledger.jobs.page,
        tenant,
        after=decode_cursor(cursor),
        limit=limit,
        search=q,
        states=states,
        include_tile_jobs=include_tile_jobs,
    )
    following = None
    if page.next:
        query = {"q": q, "state": list(states), "limit": limit, "cursor": encode_cursor(page.next)}
        query |= {} if include_tile_jobs else {"include_tile_jobs": "false"}
        following = f"/renders?{urlencode({name: value for name, value in query.items() if value}, doseq=True)}"
    return RenderPage(renders=[summary_view(house, job) for job in page.jobs], next=following)


@router.get("/renders/{render}", responses=problem_responses(401, 404, 422, 503))
async def get_render(response: Response, house: ServicesDep, tenant: Tenant, render: RenderId) -> Render:
    """Everything about a render: state, progress, attempts and their story, plan, error."""
    response.headers["cache-control"] = "no-store"
    return await load_render(house, tenant, str(render))


@router.delete(
    "/renders/{render}",
    status_code=202,
    response_model=AcceptedRender,
    responses={
        202: {"description": "It was open, and is cancelled."},
        204: {"description": "It was settled, and is removed with its source and outputs."},
        **problem_responses(401, 404, 422, 503),
    },
)
async def delete_render(house: ServicesDep, tenant: Tenant, render: RenderId) -> Response:
    """Cancel a render that is not settled; remove one that is."""
    job = await find_job(house, tenant, str(render))
    house.rendered_jobs.pop(job.id, None)
    if not await house.run_write(cancel_or_remove, house, job):
        return Response(status_code=204)
    cancelled = replace(job, state=State.CANCELLED)
    house.progress_hub.publish(
        ProgressMessage(job=job.id, tenant=tenant, state=cancelled.state, attempt=job.attempt, percent=0)
    )
    return JSONResponse(accepted_view(house, cancelled).model_dump(mode="json"), 202)
