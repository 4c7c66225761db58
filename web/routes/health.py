"""Is it alive, is it ready and if not why, and how does it do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from tasks.jobs import Ended, LedgerUnavailable, ended
from tasks.messaging.connections import BrokerUnavailable
from tasks.observability.metrics import RECENT
from tasks.storage import StoreError
from web.access.authentication import Tenant
from web.attempts import LATEST
from web.dependencies import House, Services
from web.problems import Problem, declare

PATIENCE = 3.0  # seconds for a service to answer a check
NOBODY = "00000000-0000-0000-0000-000000000000"

REASONS = {
    "broker": "The broker does not answer: check BULKHEAD_BROKER_URL and the server.",
    "ledger": "The ledger does not answer: check BULKHEAD_LEDGER_URL, the server, and `bulkhead migrate`.",
    "store": "The store cannot be used: check BULKHEAD_STORE_URL, its permissions and its free space.",
}

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """What renders depend on."""

    checks: dict[str, str] = Field(description="`ok` for broker, ledger and store.")


@router.get("/healthz")
async def healthz() -> Health:
    """Alive: the process answers, whatever its services do."""
    return Health()


@router.get("/readyz", responses=declare(503))
async def readyz(house: House) -> Readiness:
    """Ready: broker, ledger and store answer. Else a 503 problem whose `checks` say which one does not."""
    names = ("broker", "ledger", "store")
    answers = await asyncio.gather(
        answers_in_time("broker", house.gate.look()),
        answers_in_time("ledger", house.look(house.ledger.jobs.find, NOBODY)),
        answers_in_time("store", house.look(house.store.check)),
    )
    checks = {name: "ok" if good else REASONS[name] for name, good in zip(names, answers, strict=True)}
    if all(answers):
        return Readiness(checks=checks)
    reasons = " ".join(text for text in checks.values() if text != "ok")
    raise Problem(503, "not-ready", reasons, headers={"retry-after": "2"}, checks=checks)


async def answers_in_time(name: str, check: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            await check
    except (BrokerUnavailable, LedgerUnavailable, StoreError, TimeoutError) as error:
        logger.warning("%s is not ready: %s", name, error)
        return False
    return True


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **declare(401),
    },
)
async def metrics(house: House, tenant: Tenant) -> Response:  # noqa: ARG001 - a token of any tenant opens it
    """Counters of all processes of this web tier, the ledger's jobs and last attempts, and the depth of the lanes."""
    body = house.metrics.exposition(await jobs_by_state(house), await waiting(house), await recent(house))
    return Response(body, media_type=CONTENT_TYPE_LATEST)


async def jobs_by_state(house: Services) -> dict[str, int]:
    """Jobs in the ledger; none while it is away."""
    try:
        return {str(state): count for state, count in (await house.look(house.ledger.jobs.counts)).items()}
    except LedgerUnavailable:
        return {}


async def recent(house: Services) -> Ended | None:
    """Attempts that ended lately; nothing while the ledger is away."""
    try:
        return await house.look(ended, house.ledger.database, house.clock() - RECENT, LATEST)
    except LedgerUnavailable:
        return None


async def waiting(house: Services) -> Mapping[str, int]:
    """Messages in each lane; none while the broker is away."""
    try:
        await house.gate.look()
    except BrokerUnavailable:
        return {}
    return house.gate.waiting
