"""Accepts heartbeats once they are validated and appended to the stream."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from tasks.heartbeats import MAX_BODY, Heartbeats, check_names, parse
from tasks.messaging.connections import BrokerUnavailable, QueueFull
from web.access.authentication import AllowedPlant
from web.dependencies import Services, ServicesDep
from web.problems import Problem, problem_responses, unavailable
from web.readings.redis_readings import ReadingsUnavailable
from web.submit.uploads import JSON, read_body

MAX_MACHINES_NAMED = 3  # machines that an error message names

router = APIRouter(tags=["heartbeats"])

OPENAPI_BODY = {
    "requestBody": {"required": True, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Heartbeats"}}}}
}


class AcceptedHeartbeats(BaseModel):
    """Heartbeats that were appended to the stream."""

    beats: int = Field(description="Number of heartbeats.")


def openapi_schemas() -> dict[str, Any]:
    """The OpenAPI components of the request body."""
    return msgspec.json.schema_components([Heartbeats], ref_template="#/components/schemas/{name}")[1]


@router.post(
    "/heartbeats",
    status_code=202,
    response_description="The broker confirmed that the heartbeats are in the stream.",
    responses=problem_responses(400, 401, 403, 413, 415, 422, 503),
    openapi_extra=OPENAPI_BODY,
)
async def create_heartbeats(request: Request, services: ServicesDep, allowed: AllowedPlant) -> AcceptedHeartbeats:
    """Send 1 to 1,000 heartbeats of the machines of a plant.

    It is safe to retry after any error: duplicates are recognized by their sequence numbers.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise Problem(415, "unsupported-media-type", f"Send {JSON}.")
    services.check_backlog()
    body = await read_body(request, MAX_BODY)
    message = parse(body)
    check_names(message)
    if allowed is not None and message.plant != allowed:
        raise Problem(403, "wrong-plant", f"This token belongs to the plant {allowed}, not to {message.plant}.")
    await check_machine_limit(services, message)
    await append(services, body)
    return AcceptedHeartbeats(beats=len(message.beats))


async def check_machine_limit(services: Services, message: Heartbeats) -> None:
    """Raise a 422 problem if machines are new and the plant has reached its limit. The coalescer enforces the limit."""
    if services.readings is None:
        return
    limit = services.settings.machines_per_plant
    machines = list({beat.machine for beat in message.beats})
    try:
        unknown = await services.readings.unknown_machines(message.plant, machines, limit)
    except ReadingsUnavailable:
        return
    if unknown:
        named = ", ".join(sorted(unknown)[:MAX_MACHINES_NAMED])
        detail = f"The plant {message.plant} already has {limit} machines (BULKHEAD_MACHINES_PER_PLANT). New: {named}."
        raise Problem(422, "too-many-machines", detail)


async def append(services: Services, body: bytes) -> None:
    """Append to the stream. Raises BrokerUnavailable or a 503 problem if the broker does not confirm."""
    services.admission.check_broker()
    try:
        await services.run_write(services.heartbeats.publish, body)
    except BrokerUnavailable:
        services.admission.mark_broker_down()
        raise
    except QueueFull as error:
        detail = "The heartbeat stream is not available yet. Send the message again."
        raise unavailable("stream-unavailable", detail) from error
