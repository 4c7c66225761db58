"""The latest readings: of a machine, of a plant, and live as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from tasks.heartbeats import MACHINE_PATTERN, PLANT_PATTERN
from tasks.sensors import Sensor, SensorState
from web.access.authentication import AllowedPlant
from web.dependencies import Services, ServicesDep
from web.problems import Problem, problem_responses
from web.progress import server_sent_events
from web.readings.redis_readings import ReadingsUnavailable, RedisReadings
from web.readings.staleness import StalenessTracker, state_at

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
POLL_INTERVAL = 1.0  # seconds between two checks for stale machines; also the keep-alive interval

router = APIRouter(tags=["sensors"])

PlantName = Annotated[str, Query(pattern=PLANT_PATTERN, description="Name of the plant.")]


class SensorView(Sensor):
    """The latest readings of a machine, and whether they are stale."""

    state: SensorState = Field(description="`stale`, then `lost`, after some intervals without a heartbeat.")


class SensorPage(BaseModel):
    """Machines of a plant with recent heartbeats, by name."""

    sensors: list[SensorView]
    next: str | None = Field(description="Value of `after` for the next page; null on the last page.")


class PlantView(BaseModel):
    """A plant with recent heartbeats."""

    plant: str
    last_seen_at: float = Field(description="When the broker received the last heartbeat, in seconds since 1970.")
    machines: int = Field(description="Number of machines with recent heartbeats.")


class PlantList(BaseModel):
    """The plants that the token may read, by name."""

    plants: list[PlantView]


EVENT_SCHEMA = {
    "type": "object",
    "properties": {
        "event": {"enum": ["sensors", "state"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `sensors` (a list of SensorView: first all machines, then each second the updated "
        "ones) and `state` (an object with the new states of machines that became `stale` or `lost`).",
        "content": {server_sent_events.MEDIA_TYPE: {"schema": EVENT_SCHEMA}},
    },
    **problem_responses(401, 404, 422, 503),
}


@router.get("/sensors/events", response_class=Response, responses=STREAM_RESPONSES)
async def events(services: ServicesDep, allowed: AllowedPlant, plant: PlantName) -> Response:
    """Stream the readings of a plant."""
    check_plant_access(allowed, plant)
    readings = require_readings(services)
    await readings.machines(plant)  # fail with a problem document instead of an empty stream
    return server_sent_events.stream_response(stream(services, readings, plant))


@router.get("/sensors", responses=problem_responses(401, 404, 422, 503))
async def list_sensors(
    services: ServicesDep,
    allowed: AllowedPlant,
    plant: PlantName,
    after: Annotated[str, Query(max_length=64, description="Name of the last machine on the previous page.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
) -> SensorPage:
    """The latest readings of a plant's machines."""
    check_plant_access(allowed, plant)
    readings = require_readings(services)
    names = [name for name in await readings.machines(plant) if name > after]
    sensors = await readings.find_many(plant, names[:limit])
    return SensorPage(sensors=sensor_views(services, sensors), next=names[limit - 1] if len(names) > limit else None)


@router.get("/sensors/plants", responses=problem_responses(401, 503))
async def list_plants(services: ServicesDep, allowed: AllowedPlant) -> PlantList:
    """The plants with recent heartbeats."""
    plants = await require_readings(services).plants(services.clock() - services.settings.sensors_ttl)
    return PlantList(
        plants=[
            PlantView(plant=name, last_seen_at=at, machines=count)
            for name, at, count in plants
            if allowed in (None, name)
        ]
    )


@router.get("/sensors/{plant}/{machine}", responses=problem_responses(401, 404, 422, 503))
async def get_sensor(
    services: ServicesDep,
    allowed: AllowedPlant,
    plant: Annotated[str, Path(pattern=PLANT_PATTERN)],
    machine: Annotated[str, Path(pattern=MACHINE_PATTERN)],
) -> SensorView:
    """The latest readings of a machine."""
    check_plant_access(allowed, plant)
    sensor = await require_readings(services).find(plant, machine)
    if sensor is None:
        raise sensor_not_found()
    return sensor_views(services, [sensor])[0]


async def stream(services: Services, readings: RedisReadings, plant: str) -> AsyncIterator[str]:
    staleness = StalenessTracker(services.settings)

    def sensors_event(sensors: Sequence[Sensor]) -> str:
        staleness.record(sensors, services.clock())
        data = ",".join(view.model_dump_json() for view in sensor_views(services, sensors))
        return server_sent_events.format_event("sensors", f"[{data}]")

    try:
        async with readings.subscribe(plant) as updates:
            with services.metrics.event_streams.track_inprogress():
                names = await readings.machines(plant)
                for start in range(0, len(names) or 1, MAX_PAGE_SIZE):
                    yield sensors_event(await readings.find_many(plant, names[start : start + MAX_PAGE_SIZE]))
                while True:
                    sensors = await updates.receive(POLL_INTERVAL)
                    yield sensors_event(sensors) if sensors else server_sent_events.KEEP_ALIVE
                    if changed := staleness.changed_states(services.clock()):
                        yield server_sent_events.format_event("state", json.dumps(changed))
    except ReadingsUnavailable:
        return  # the browser reconnects


def sensor_views(services: Services, sensors: Iterable[Sensor]) -> list[SensorView]:
    now = services.clock()
    return [
        SensorView(**sensor.model_dump(), state=state_at(sensor.received_at, now, services.settings))
        for sensor in sensors
    ]


def check_plant_access(allowed: str | None, plant: str) -> None:
    """Raise a 404 problem for a plant that the token may not read."""
    if allowed is not None and plant != allowed:
        raise sensor_not_found()


def require_readings(services: Services) -> RedisReadings:
    """The readings. Raises a 503 problem if no Redis is configured."""
    if services.readings is None:
        raise Problem(503, "readings-not-configured", "Live readings are not configured. Set BULKHEAD_REDIS_URL.")
    return services.readings


def sensor_not_found() -> Problem:
    return Problem(404, "no-such-sensor", "There is no such machine, or it has sent no heartbeat for a long time.")
