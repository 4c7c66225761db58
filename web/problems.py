"""Errors as RFC 9457 problem details: every one of them, and never a stack trace.

A handler raises `Problem`, or lets an error of the ledger, the store or the broker pass: its answer stands here.
"""

from __future__ import annotations

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

from tasks.jobs import LedgerUnavailable
from tasks.messaging.connections import BrokerUnavailable
from tasks.storage import ObjectNotFound, StoreError, StoreFull

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 2  # seconds; a service that is away is asked again about then
MAX_ERRORS = 20  # faults named in one answer

logger = logging.getLogger(__name__)


class InvalidField(BaseModel):
    """One fault in a request."""

    location: str = Field(description="Where it is, as `query.limit` or `options.width`.")
    detail: str = Field(description="What is wrong with it.")


class ProblemDetails(BaseModel):
    """What went wrong and what to do about it (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Names the kind of problem: `urn:bulkhead:problem:<code>`.")
    title: str
    status: int
    detail: str = Field(description="What happened and what to do next.")
    code: str = Field(description="The last part of `type`.")
    errors: list[InvalidField] = Field(default_factory=list, description="The faults of an invalid request.")
    plan: dict[str, Any] | None = Field(None, description="What a refused blueprint would have cost.")


class Problem(Exception):
    """An answer that is an error. `members` are added to the problem's own."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members

    def response(self) -> JSONResponse:
        details = ProblemDetails(
            type=f"urn:bulkhead:problem:{self.code}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            code=self.code,
            **self.members,
        )
        body = details.model_dump(mode="json", exclude_unset=True)
        headers = {"cache-control": "no-store", **self.headers}
        return JSONResponse(body, self.status, headers, MEDIA_TYPE)


def invalid_request(errors: Sequence[Mapping[str, Any]], *, where: str = "", status: int = 422) -> Problem:
    """The problem of a request whose parts pydantic refused."""
    parts = [
        InvalidField(location=".".join([*filter(None, [where]), *map(str, error["loc"])]), detail=error["msg"])
        for error in errors[:MAX_ERRORS]
    ]
    said = "; ".join(f"{part.location}: {part.detail}" for part in parts[:3])
    return Problem(status, "invalid-request", f"Correct the request and send it again: {said}.", errors=parts)


def unavailable(code: str, detail: str, retry_after: int = RETRY_AFTER) -> Problem:
    """The problem of a service that is away; nothing was accepted."""
    return Problem(503, code, detail, headers={"retry-after": str(retry_after)})


def translate(error: Exception) -> Problem:
    """The answer for an error."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return invalid_request(error.errors())
        case HTTPException():
            return from_http_exception(error)
        case StoreError():
            return from_store_error(error)
        case LedgerUnavailable():
            return unavailable("ledger-unavailable", "The ledger does not answer: nothing was accepted, try again.")
        case BrokerUnavailable():
            return unavailable("broker-unavailable", "The broker does not answer: nothing was accepted, try again.")
        case ClientDisconnect():
            return Problem(400, "disconnected", "The request ended before its body was complete.")
        case _:
            return Problem(500, "internal-error", "Something went wrong here; the server's log says what.")


def from_http_exception(error: HTTPException) -> Problem:
    match error.status_code:
        case 404:
            detail = "There is nothing at this address; /openapi.json lists what there is."
            return Problem(404, "not-found", detail)
        case 405:
            detail = "This address does not take that method; the Allow header names those it takes."
            return Problem(405, "method-not-allowed", detail)
        case status:
            return Problem(status, "http-error", str(error.detail), headers=error.headers)


def from_store_error(error: StoreError) -> Problem:
    match error:
        case ObjectNotFound():
            return Problem(404, "no-such-file", "There is no such file.")
        case StoreFull():
            return Problem(507, "store-full", str(error))
        case _:
            return unavailable("store-unavailable", "The store does not answer: nothing was accepted, try again.")


EXPECTED = (
    Problem,
    RequestValidationError,
    HTTPException,
    LedgerUnavailable,
    BrokerUnavailable,
    StoreError,
    ClientDisconnect,
)


def install_handlers(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Make `app` answer every error with a problem; of `routes` the Allow header of a 405 is made."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = translate(error)
        if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
            problem.headers["allow"] = ", ".join(sorted(allowed_methods(request, routes)))
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.warning("%s: %s", problem.code, error)
        return problem.response()

    for kind in (*EXPECTED, Exception):
        app.add_exception_handler(kind, answer)


def allowed_methods(request: Request, routes: Sequence[BaseRoute]) -> set[str]:
    """Every method that the address of this request takes; the router itself knows the first route's only."""
    here = [route for route in routes if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE]
    return set().union(*(route.methods or () for route in here))


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation that may answer with these problems."""
    retry = {"Retry-After": {"description": "Seconds until it is worth trying again.", "schema": {"type": "integer"}}}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": content,
            **({"headers": retry} if status in (429, 503) else {}),
        }
        for status in statuses
    }
