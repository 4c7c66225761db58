"""Taking heartbeats: checked, then appended to the stream, and only then accepted."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from tasks.heartbeats import MAX_BODY, Heartbeats, MalformedHeartbeats, check_names, parse
from tasks.messaging.connections import BrokerUnavailable, QueueFull
from web.access.authentication import AllowedPlant
from web.dependencies import Services, ServicesDep
from web.problems import Problem, problem_responses, unavailable
from web.readings.redis_readings import RedisError
from web.submit.uploads import JSON, read_body

MAX_MACHINES_NAMED = 3  # machines that an answer names

router = APIRouter(tags=["heartbeats"])

OPENAPI_BODY = {
    "requestBody": {"required": True, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Heartbeats"}}}}
}


class AcceptedHeartbeats(BaseModel):
    """Heartbeats that are safe."""

    beats: int = Field(description="How many.")


def openapi_schemas() -> dict[str, Any]:
    """OpenAPI's components for the body."""
    return msgspec.json.schema_components([Heartbeats], ref_template="#/components/schemas/{name}")[1]


@router.post(
    "/heartbeats",
    status_code=202,
    response_description="Appended to the stream: the broker has confirmed it.",
    responses=problem_responses(400, 401, 403, 413, 415, 422, 503),
    openapi_extra=OPENAPI_BODY,
)
async def create(request: Request, house: ServicesDep, own: AllowedPlant) -> AcceptedHeartbeats:
    """Send one beat or up to 1,000 of a plant's machines. After any error the same may be sent again: a beat counts
    once, by its number."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise Problem(415, "unsupported-media-type", f"Send {JSON}.")
    house.check_backlog()
    body = await read_body(request, MAX_BODY)
    message = parse_message(body)
    if own is not None and message.plant != own:
        raise Problem(403, "another-plant", f"This token speaks for the plant {own}, not for {message.plant}.")
    await check_machine_limit(house, message)
    await append(house, body)
    return AcceptedHeartbeats(beats=len(message.beats))


def parse_message(body: bytes) -> Heartbeats:
    """The message in `body`. Raises a 422 problem."""
    try:
        message = parse(body)
        check_names(message)
    except MalformedHeartbeats as error:
        raise Problem(422, "invalid-heartbeats", f"Correct the message and send it again: {error}.") from error
    return message


async def check_machine_limit(house: Services, message: Heartbeats) -> None:
    """Raises a 422 problem if machines are new and the plant has as many as it may. The coalescer has the last word."""
    if house.readings is None:
        return
    limit = house.settings.machines_per_plant
    try:
        names = list({beat.machine for beat in message.beats})
        strangers = await house.readings.unknown_machines(message.plant, names, limit)
    except RedisError:
        return
    if strangers:
        named = ", ".join(sorted(strangers)[:MAX_MACHINES_NAMED])
        detail = f"The plant {message.plant} has {limit} machines already (BULKHEAD_MACHINES_PER_PLANT); new: {named}."
        raise Problem(422, "too-many-machines", detail)


async def append(house: Services, body: bytes) -> None:
    """Raises BrokerUnavailable, or a 503 problem, when the broker does not confirm."""
    house.admission.check_broker()
    try:
        await house.run_write(house.heartbeats.publish, body)
    except BrokerUnavailable:
        house.admission.mark_broker_down()
        raise
    except QueueFull as error:
        raise unavailable("stream-unavailable", "The stream of heartbeats is not up yet: send it again.") from error
