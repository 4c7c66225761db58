"""Create, list, read, cancel and remove renders."""

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
from tasks.jobs.retention import remove_job
from tasks.messaging.progress import ProgressMessage
from tasks.renders import RenderOptions, source_key
from web.access.authentication import Tenant
from web.dependencies import Services, ServicesDep
from web.job_lookup import find_job, load_render, wait_until_finished
from web.job_views import AcceptedRender, Render, RenderId, RenderPage, accepted_view, summary_view
from web.problems import problem_responses
from web.routes.cursors import CURSOR_PATTERN, decode_cursor, encode_cursor
from web.submit.idempotency import KEY_PATTERN, parse_key
from web.submit.request_headers import parse_traceparent, parse_wait
from web.submit.submission import Submission, submit
from web.submit.uploads import RenderRequest, read_request

CANCELLED = {"code": "cancelled", "detail": "The job was cancelled by request. Replay it to run it again."}
POLL_INTERVAL = 1  # seconds that a polling client should wait
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200

router = APIRouter(tags=["renders"])


def form_schema() -> dict[str, Any]:
    """JSON Schema of the multipart form: the drawing, and a field for every option."""
    options = RenderOptions.model_json_schema()
    submission = {name: RenderRequest.model_json_schema()["properties"][name] for name in ("preset", "webhook")}
    drawing = {
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": "The drawing: DXF, SVG, PDF, PNG, JPEG, TIFF or WebP.",
    }
    return {
        **options,
        "title": "RenderForm",
        "properties": {"blueprint": drawing, **submission, **options["properties"]},
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
    200: {"model": Render, "description": "Finished within the time of `Prefer: wait`.", "headers": LOCATION},
    202: {
        "description": "Accepted and durable: confirmed by the broker or held in the ledger.",
        "headers": {**LOCATION, "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
    },
    **problem_responses(400, 401, 404, 409, 413, 415, 422, 429, 503, 507),
}


@router.post(
    "/renders", status_code=202, response_model=AcceptedRender, responses=CREATE_RESPONSES, openapi_extra=OPENAPI_BODY
)
async def create_render(
    request: Request,
    services: ServicesDep,
    tenant: Tenant,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="A key that you choose for this request. A retry with the same key gets the same job.",
            json_schema_extra={"pattern": KEY_PATTERN},
        ),
    ] = None,
    prefer: Annotated[list[str] | None, Header(description="`wait=N`: seconds to wait for the result.")] = None,
    traceparent: Annotated[str | None, Header(description="W3C trace context.")] = None,
) -> Response:
    """Create a render: upload the drawing in a form, or name a source in the store."""
    key = parse_key(idempotency_key)
    services.check_backlog()
    await services.admission.check()
    job_id = str(uuid4())
    parsed = await read_request(request, services, tenant, source_key(tenant, job_id))
    job = await services.run_write(
        submit, services, Submission(job_id, tenant, parsed, key, parse_traceparent(traceparent))
    )
    return await respond(services, job, parse_wait(prefer or []))


async def respond(services: Services, job: Job, wait: int | None) -> Response:
    """202; or 200 with the full render if the client waits and the job finishes in time."""
    headers = {"location": f"/renders/{job.id}", "cache-control": "no-store"}
    if wait is not None:
        headers["preference-applied"] = f"wait={wait}"
        with suppress(LedgerError):  # the job is accepted even if its state cannot be read
            job = await wait_until_finished(services, job.tenant, job.id, wait)
            if job.state in FINAL:
                finished = await load_render(services, job.tenant, job.id)
                return JSONResponse(finished.model_dump(mode="json"), 200, headers)
    headers["retry-after"] = str(POLL_INTERVAL)
    return JSONResponse(accepted_view(services, job).model_dump(mode="json"), 202, headers)


@router.get("/renders", responses=problem_responses(401, 422, 503))
async def list_renders(
    services: ServicesDep,
    tenant: Tenant,
    q: Annotated[str, Query(max_length=100, description="Part of the file name, or the beginning of an id.")] = "",
    state: Annotated[list[State] | None, Query(description="Only renders in these states.")] = None,
    include_tile_jobs: Annotated[
        bool, Query(description="Include renders that only create the tiles of one layer (`tile_layer`).")
    ] = True,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
    cursor: Annotated[
        str | None, Query(pattern=CURSOR_PATTERN, description="Cursor in `next` of the previous page.")
    ] = None,
) -> RenderPage:
    """Your renders, newest first."""
    states: Sequence[State] = state or ()
    page = await services.run_read(
        services.ledger.jobs.page,
        tenant,
        after=decode_cursor(cursor),
        limit=limit,
        search=q,
        states=states,
        include_tile_jobs=include_tile_jobs,
    )
    next_page = None
    if page.next:
        query = {"q": q, "state": list(states), "limit": limit, "cursor": encode_cursor(page.next)}
        query |= {} if include_tile_jobs else {"include_tile_jobs": "false"}
        next_page = f"/renders?{urlencode({name: value for name, value in query.items() if value}, doseq=True)}"
    return RenderPage(renders=[summary_view(services, job) for job in page.jobs], next=next_page)


@router.get("/renders/{render}", responses=problem_responses(401, 404, 422, 503))
async def get_render(response: Response, services: ServicesDep, tenant: Tenant, render: RenderId) -> Render:
    """A render with its state, progress, attempts, plan and error."""
    response.headers["cache-control"] = "no-store"
    return await load_render(services, tenant, str(render))


@router.delete(
    "/renders/{render}",
    status_code=202,
    response_model=AcceptedRender,
    responses={
        202: {"description": "The render was open and is cancelled."},
        204: {"description": "The render was finished and is removed with its source and outputs."},
        **problem_responses(401, 404, 422, 503),
    },
)
async def delete_render(services: ServicesDep, tenant: Tenant, render: RenderId) -> Response:
    """Cancel an unfinished render, or remove a finished one."""
    job = await find_job(services, tenant, str(render))
    services.rendered_jobs.pop(job.id, None)
    if not await services.run_write(cancel_or_remove, services, job):
        return Response(status_code=204)
    cancelled = replace(job, state=State.CANCELLED)
    services.progress_hub.publish(
        ProgressMessage(job=job.id, tenant=tenant, state=cancelled.state, attempt=job.attempt, percent=0)
    )
    return JSONResponse(accepted_view(services, cancelled).model_dump(mode="json"), 202)


def cancel_or_remove(services: Services, job: Job) -> bool:
    """Cancel an open job, or remove a finished one with its source and artifacts. Returns True if it was open.

    Files that another job uses are not removed.
    """
    jobs = services.ledger.jobs
    if jobs.cancel(job.id, services.clock(), error=CANCELLED):
        return True
    finished = jobs.find(job.id) or job  # it may have succeeded in the meantime
    remove_job(services.ledger, services.store, finished)
    return False
