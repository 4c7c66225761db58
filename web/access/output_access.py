"""Access to a render's outputs: for its tenant, and for holders of a signed link."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, Field

from tasks.jobs import Job
from web.access.authentication import authenticate_tenant, bearer, unauthorized
from web.access.signed_links import SIGNATURE_DIGITS, is_valid
from web.dependencies import Services
from web.job_lookup import find_cached_job, find_rendered_job

SIGNED_LINK_PARAMETERS = ("expires", "signature")  # query parameters of a signed link

Number = Annotated[int, Field(ge=0, le=99_999)]


class OutputAddress(BaseModel):
    """The parameters in the URL of an output."""

    render: UUID = Field(description="Id of the render.")
    number: Number = Field(0, description="Index of a layer.")
    level: Number = Field(0, description="Level of a tile.")
    column: Number = Field(0, description="Column of a tile.")
    row: Number = Field(0, description="Row of a tile.")
    expires: int | None = Field(None, ge=0, le=10**11, description="From a signed link.")
    signature: str | None = Field(None, max_length=SIGNATURE_DIGITS, description="From a signed link.")


async def find_readable_job(request: Request, services: Services, address: OutputAddress) -> Job:
    """The job, if a signed link or a token permits to read its outputs. Raises 401 and 404 problems."""
    credentials = await bearer(request)
    job_id, expires, signature = str(address.render), address.expires, address.signature
    if expires is None or signature is None or credentials:
        return await find_rendered_job(services, await authenticate_tenant(request, services, credentials), job_id)
    job = await find_cached_job(services, job_id)
    if job is None or not is_valid(services.settings, job, expires, signature, services.clock()):
        raise unauthorized("This link has expired or is invalid. GET /renders/{render} returns a new one.")
    return job
