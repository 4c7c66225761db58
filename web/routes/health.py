"""Liveness, readiness with reasons, and metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from functools import partial
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from tasks.errors import BulkheadError
from tasks.jobs import LedgerError, ended_attempts
from tasks.messaging.connections import BrokerUnavailable
from web.access.authentication import Tenant
from web.dependencies import Services, ServicesDep
from web.problems import Problem, problem_responses

CHECK_TIMEOUT = 3.0  # seconds that a service has to answer a check
UNKNOWN_JOB_ID = "00000000-0000-0000-0000-000000000000"

REASONS = {
    "broker": "The broker does not answer. Check BULKHEAD_BROKER_URL and the server.",
    "ledger": "The ledger does not answer. Check BULKHEAD_LEDGER_URL and the server, and run `bulkhead migrate`.",
    "store": "The store is not usable. Check BULKHEAD_STORE_URL, its permissions and its free space.",
}

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


class Liveness(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Readiness of the services that renders depend on."""

    checks: dict[str, str] = Field(description="State of broker, ledger and store: `ok`, or the reason and what to do.")


@router.get("/healthz")
async def healthz() -> Liveness:
    """Liveness: the process answers, whatever the state of its services."""
    return Liveness()


@router.get("/readyz", responses=problem_responses(503))
async def readyz(services: ServicesDep) -> Readiness:
    """Readiness: broker, ledger and store answer. Otherwise a 503 problem names the failing ones in `checks`."""
    names = ("broker", "ledger", "store")
    answers = await asyncio.gather(
        is_ready("broker", services.admission.refresh()),
        is_ready("ledger", services.run_read(services.ledger.jobs.find, UNKNOWN_JOB_ID)),
        is_ready("store", services.run_read(services.store.check)),
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
    except (BulkheadError, TimeoutError) as error:
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
async def metrics(services: ServicesDep, tenant: Tenant) -> Response:  # noqa: ARG001 - for authentication
    """Metrics of all processes of this server, with the jobs and finished attempts of the ledger."""
    with suppress(LedgerError):
        await services.run_read(services.metrics.attempts.update, partial(ended_attempts, services.ledger.database))
    body = services.metrics.exposition(await jobs_by_state(services), await queue_depths(services))
    return Response(body, media_type=CONTENT_TYPE_LATEST)


async def jobs_by_state(services: Services) -> dict[str, int]:
    """Jobs in the ledger by state; empty while the ledger is unavailable."""
    try:
        counts = await services.run_read(services.ledger.jobs.count_by_state)
    except LedgerError:
        return {}
    return {str(state): count for state, count in counts.items()}


async def queue_depths(services: Services) -> Mapping[str, int]:
    """Messages in each queue; empty while the broker is unavailable."""
    try:
        await services.admission.refresh()
    except BrokerUnavailable:
        return {}
    return services.admission.waiting
