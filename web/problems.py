"""Errors as RFC 9457 problem details, never as a stack trace.

Handlers raise `Problem`, or let errors of `tasks.errors` propagate, which are translated here by their attributes.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Route

from tasks.errors import BulkheadError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 2  # seconds; when to retry after a service was unavailable
MAX_ERRORS = 20  # validation errors in one response

INTERNAL_ERROR = "An internal error occurred. The server's log has the details."

logger = logging.getLogger(__name__)


class InvalidField(BaseModel):
    """An invalid part of a request."""

    location: str = Field(description="Its location, such as `query.limit` or `options.width`.")
    detail: str = Field(description="Why it is invalid.")


class ProblemDetails(BaseModel):
    """An error and what to do about it (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Kind of problem: `urn:bulkhead:problem:<code>`.")
    title: str
    status: int
    detail: str = Field(description="What happened, and what to do next.")
    code: str = Field(description="The last part of `type`.")
    errors: list[InvalidField] = Field(default_factory=list, description="The invalid parts of the request.")
    plan: dict[str, Any] | None = Field(None, description="The plan of a rejected blueprint.")


class Problem(BulkheadError):
    """An error response. `members` are added to the problem document."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.http_status = status  # type: ignore[misc]
        self.code = code
        self.headers = dict(headers or {})
        self.members = members

    def response(self) -> JSONResponse:
        details = ProblemDetails(
            type=f"urn:bulkhead:problem:{self.code}",
            title=HTTPStatus(self.http_status).phrase,
            status=self.http_status,
            detail=self.message,
            code=self.code,
            **self.members,
        )
        body = details.model_dump(mode="json", exclude_unset=True)
        headers = {"cache-control": "no-store", **self.headers}
        return JSONResponse(body, self.http_status, headers, MEDIA_TYPE)


def invalid_request(errors: Sequence[Mapping[str, Any]], *, where: str = "", status: int = 422) -> Problem:
    """The problem of a request that fails validation."""
    fields = [
        InvalidField(location=".".join([*filter(None, [where]), *map(str, error["loc"])]), detail=error["msg"])
        for error in errors[:MAX_ERRORS]
    ]
    summary = "; ".join(f"{field.location}: {field.detail}" for field in fields[:3])
    return Problem(status, "invalid-request", f"Correct the request and send it again: {summary}.", errors=fields)


def unavailable(code: str, detail: str, retry_after: int = RETRY_AFTER) -> Problem:
    """The problem of an unavailable service."""
    return Problem(503, code, detail, headers={"retry-after": str(retry_after)})


def translate(error: Exception) -> Problem:
    """The problem of an exception."""
    match error:
        case Problem():
            return error
        case BulkheadError() if error.http_status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return from_error(error)
        case RequestValidationError():
            return invalid_request(error.errors())
        case HTTPException():
            return from_http_exception(error)
        case ClientDisconnect():
            return Problem(400, "disconnected", "The request ended before its body was complete.")
        case _:
            return Problem(500, "internal-error", INTERNAL_ERROR)


def from_error(error: BulkheadError, **members: Any) -> Problem:
    """The problem of an error of ours, as its attributes say.

    A client error carries the text of the error. The text of a server error may contain host names and paths, so only
    the documentation of its class is sent; the log has the text.
    """
    is_server_error = error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR
    detail = " ".join((inspect.getdoc(type(error)) or "").split()) if is_server_error else error.message
    headers = {}
    if error.transient:
        detail = f"{detail.partition('. ')[0].rstrip('.')}. Try again in {RETRY_AFTER} s."
        headers["retry-after"] = str(RETRY_AFTER)
    return Problem(error.http_status, error.code, detail, headers=headers, **members)


def from_http_exception(error: HTTPException) -> Problem:
    match error.status_code:
        case 404:
            detail = "There is no resource at this URL. /openapi.json lists the available ones."
            return Problem(404, "not-found", detail)
        case 405:
            detail = "This URL does not support the method. The Allow header lists the supported ones."
            return Problem(405, "method-not-allowed", detail)
        case status:
            return Problem(status, "http-error", str(error.detail), headers=error.headers)


HANDLED = (BulkheadError, RequestValidationError, HTTPException, ClientDisconnect, Exception)


def install_handlers(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Make `app` answer every error with a problem. `routes` provide the Allow header of a 405."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = translate(error)
        if problem.http_status == HTTPStatus.METHOD_NOT_ALLOWED:
            problem.headers["allow"] = ", ".join(sorted(allowed_methods(request, routes)))
        if problem.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.warning("%s: %s", problem.code, error)
        return problem.response()

    for kind in HANDLED:
        app.add_exception_handler(kind, answer)


def allowed_methods(request: Request, routes: Sequence[BaseRoute]) -> set[str]:
    """All methods that this request's URL supports; the router itself only reports those of the first route."""
    matching = [
        route for route in routes if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    ]
    return set().union(*(route.methods or () for route in matching))


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of an operation that may fail with these statuses."""
    retry = {"Retry-After": {"description": "Seconds after which to retry.", "schema": {"type": "integer"}}}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": content,
            **({"headers": retry} if status in (429, 503) else {}),
        }
        for status in statuses
    }
