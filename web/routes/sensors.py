"""The latest readings: of a machine, of a plant, and live as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from tasks.heartbeats import MACHINE_PATTERN, PLANT_PATTERN
from tasks.sensors import Sensor, SensorState
from web.access.authentication import AllowedPlant
from web.dependencies import Services, ServicesDep
from web.problems import Problem, problem_responses
from web.progress import server_sent_events
from web.readings.redis_readings import RedisError, RedisReadings
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
    heard_at: float = Field(description="When the broker received the last heartbeat, in seconds since 1970.")
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
        "description": "Events `sensors` (a list of SensorView: first all machines, then each second the updated ones) and "
        "`state` (an object with the new states of machines that became `stale` or `lost`).",
        "content": {server_sent_events.MEDIA_TYPE: {"schema": EVENT_SCHEMA}},
    },
    **problem_responses(401, 404, 422, 503),
}


@router.get("/sensors/events", response_class=Response, responses=STREAM_RESPONSES)
async def events(services: ServicesDep, own: AllowedPlant, plant: PlantName) -> Response:
    """Stream the readings of a plant."""
    check_plant_access(own, plant)
    sensors = require_readings(services)
    try:
        await sensors.machines(plant)  # fail with a problem document instead of an empty stream
    except RedisError as error:
        raise redis_unavailable() from error
    return server_sent_events.stream_response(stream(services, sensors, plant))


@router.get("/sensors", responses=problem_responses(401, 404, 422, 503))
async def list_sensors(
    services: ServicesDep,
    own: AllowedPlant,
    plant: PlantName,
    after: Annotated[str, Query(max_length=64, description="Name of the last machine on the previous page.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
) -> SensorPage:
    """The latest readings of a plant's machines."""
    check_plant_access(own, plant)
    sensors = require_readings(services)
    try:
        names = [name for name in await sensors.machines(plant) if name > after]
        found = await sensors.find_many(plant, names[:limit])
    except RedisError as error:
        raise redis_unavailable() from error
    return SensorPage(sensors=sensor_views(services, found), next=names[limit - 1] if len(names) > limit else None)


@router.get("/sensors/plants", responses=problem_responses(401, 503))
async def list_plants(services: ServicesDep, own: AllowedPlant) -> PlantList:
    """The plants with recent heartbeats."""
    try:
        found = await require_readings(services).plants(services.clock() - services.settings.sensors_ttl)
    except RedisError as error:
        raise redis_unavailable() from error
    views = [PlantView(plant=name, heard_at=at, machines=count) for name, at, count in found]
    return PlantList(plants=[view for view in views if own in (None, view.plant)])


@router.get("/sensors/{plant}/{machine}", responses=problem_responses(401, 404, 422, 503))
async def get_sensor(
    services: ServicesDep,
    own: AllowedPlant,
    plant: Annotated[str, Path(pattern=PLANT_PATTERN)],
    machine: Annotated[str, Path(pattern=MACHINE_PATTERN)],
) -> SensorView:
    """The latest readings of a machine."""
    check_plant_access(own, plant)
    try:
        found = await require_readings(services).find(plant, machine)
    except RedisError as error:
        raise redis_unavailable() from error
    if found is None:
        raise sensor_not_found()
    return sensor_views(services, [found])[0]


async def stream(services: Services, sensors: RedisReadings, plant: str) -> AsyncIterator[str]:
    silence = StalenessTracker(services.settings)
    try:
        async with sensors.subscribe(plant) as news:
            with services.metrics.event_streams.track_inprogress():
                names = await sensors.machines(plant)
                for start in range(0, len(names) or 1, MAX_PAGE_SIZE):
                    found = await sensors.find_many(plant, names[start : start + MAX_PAGE_SIZE])
                    silence.record(found, services.clock())
                    yield sensors_event(services, found)
                while True:
                    found = await news.receive(POLL_INTERVAL)
                    silence.record(found, services.clock())
                    turned = silence.changed_states(services.clock())
                    yield sensors_event(services, found) if found else server_sent_events.KEEP_ALIVE
                    if turned:
                        yield server_sent_events.format_event("state", json.dumps(turned))
    except RedisError:
        return  # the browser reconnects


def sensors_event(services: Services, found: Iterable[Sensor]) -> str:
    data = ",".join(view.model_dump_json() for view in sensor_views(services, found))
    return server_sent_events.format_event("sensors", f"[{data}]")


def sensor_views(services: Services, found: Iterable[Sensor]) -> list[SensorView]:
    now = services.clock()
    return [
        SensorView(**sensor.model_dump(), state=state_at(sensor.received_at, now, services.settings)) for sensor in found
    ]


def check_plant_access(own: str | None, plant: str) -> None:
    """Raise a 404 problem for a plant that the token may not read."""
    if own is not None and plant != own:
        raise sensor_not_found()


def require_readings(services: Services) -> RedisReadings:
    """The readings. Raises a 503 problem if no Redis is configured."""
    if services.readings is None:
        raise Problem(503, "no-sensors", "Live readings are not configured. Set BULKHEAD_REDIS_URL.")
    return services.readings


def sensor_not_found() -> Problem:
    return Problem(404, "no-such-sensor", "There is no such machine, or it has sent no heartbeat for a long time.")


def redis_unavailable() -> Problem:
    return Problem(503, "redis-unavailable", "Redis does not answer. Try again.", headers={"retry-after": "2"})
