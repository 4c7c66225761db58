"""Is it alive, is it ready and if not why, and how does it do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from tasks.jobs import LedgerError, RecentAttempts, recent_attempts
from tasks.messaging.connections import BrokerUnavailable
from tasks.observability.metrics import RECENT_WINDOW
from tasks.storage import StoreError
from web.access.authentication import Tenant
from web.attempts import MAX_ATTEMPTS
from web.dependencies import Services, ServicesDep
from web.problems import Problem, problem_responses

CHECK_TIMEOUT = 3.0  # seconds for a service to answer a check
UNKNOWN_JOB_ID = "00000000-0000-0000-0000-000000000000"

REASONS = {
    "broker": "The broker does not answer: check BULKHEAD_BROKER_URL and the server.",
    "ledger": "The ledger does not answer: check BULKHEAD_LEDGER_URL, the server, and `bulkhead migrate`.",
    "store": "The store cannot be used: check BULKHEAD_STORE_URL, its permissions and its free space.",
}

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """What renders depend on."""

    checks: dict[str, str] = Field(description="`ok` for broker, ledger and store.")


@router.get("/healthz")
async def healthz() -> Liveness:
    """Alive: the process answers, whatever its services do."""
    return Liveness()


@router.get("/readyz", responses=problem_responses(503))
async def readyz(house: ServicesDep) -> Readiness:
    """Ready: broker, ledger and store answer. Else a 503 problem whose `checks` say which one does not."""
    names = ("broker", "ledger", "store")
    answers = await asyncio.gather(
        is_ready("broker", house.admission.refresh()),
        is_ready("ledger", house.run_read(house.ledger.jobs.find, UNKNOWN_JOB_ID)),
        is_ready("store", house.run_read(house.store.check)),
    )
    checks = {name: "ok" if good else REASONS[name] for name, good in zip(names, answers, strict=True)}
    if all(answers):
        return Readiness(checks=checks)
    reasons = " ".join(text for text in checks.values() if text != "ok")
    raise Problem(503, "not-ready", reasons, headers={"retry-after": "2"}, checks=checks)


async def is_ready(name: str, check: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            await check
    except (BrokerUnavailable, LedgerError, StoreError, TimeoutError) as error:
        logger.warning("%s is not ready: %s", name, error)
        return False
    return True


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problem_responses(401),
    },
)
async def metrics(house: ServicesDep, tenant: Tenant) -> Response:  # noqa: ARG001 - a token of any tenant opens it
    """Counters of all processes of this web tier, the ledger's jobs and last attempts, and the depth of the lanes."""
    body = house.metrics.exposition(
        await jobs_by_state(house), await queue_depths(house), await load_recent_attempts(house)
    )
    return Response(body, media_type=CONTENT_TYPE_LATEST)


async def jobs_by_state(house: Services) -> dict[str, int]:
    """Jobs in the ledger; none while it is away."""
    try:
        return {str(state): count for state, count in (await house.run_read(house.ledger.jobs.count_by_state)).items()}
    except LedgerError:
        return {}


async def load_recent_attempts(house: Services) -> RecentAttempts | None:
    """Attempts that ended lately; nothing while the ledger is away."""
    try:
        return await house.run_read(recent_attempts, house.ledger.database, house.clock() - RECENT_WINDOW, MAX_ATTEMPTS)
    except LedgerError:
        return None


async def queue_depths(house: Services) -> Mapping[str, int]:
    """Messages in each lane; none while the broker is away."""
    try:
        await house.admission.refresh()
    except BrokerUnavailable:
        return {}
    return house.admission.waiting
