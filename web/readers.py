"""Who may read a render's outputs: its tenant, and who holds a signed link."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials

from tasks.ledger import Job
from web.services import House
from web.signed import DIGITS, is_good
from web.status import RenderId, find_rendered, remembered
from web.tenants import bearer, stranger, tenant


async def open_job(
    request: Request,
    house: House,
    render: RenderId,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    until: Annotated[int | None, Query(ge=0, le=10**11, description="From a signed link.")] = None,
    signature: Annotated[str | None, Query(max_length=DIGITS, description="From a signed link.")] = None,
) -> Job:
    """The job whose outputs this request may read, by signed link or by token. Raises 401 and 404 problems."""
    if until is None or signature is None or credentials:
        return await find_rendered(house, await tenant(request, house, credentials), str(render))
    job = await remembered(house, str(render))
    if job is None or not is_good(house.settings, job, until, signature, house.clock()):
        raise stranger("This link is too old, or not as it was made: ask for the render again to have a new one.")
    return job


OutputJob = Annotated[Job, Depends(open_job)]
