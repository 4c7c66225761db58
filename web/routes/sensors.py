"""The latest readings of machines: one, a plant's, and what is new as server-sent events."""

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
POLL_INTERVAL = 1.0  # seconds between two looks for machines that fell silent; also keeps the line alive

router = APIRouter(tags=["sensors"])

PlantName = Annotated[str, Query(pattern=PLANT_PATTERN, description="Whose machines.")]


class SensorView(Sensor):
    """The latest readings of a machine, and whether it is still heard."""

    state: SensorState = Field(description="`stale`, then `lost`, after some intervals of silence.")


class SensorPage(BaseModel):
    """Machines of a plant that were heard lately, by name."""

    sensors: list[SensorView]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class PlantView(BaseModel):
    """A plant that was heard lately."""

    plant: str
    heard_at: float = Field(description="When the broker last took a beat of it, in seconds since 1970.")
    machines: int = Field(description="Machines of it that were heard lately.")


class PlantList(BaseModel):
    """The plants that you may look at, by name."""

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
        "description": "Events `sensors` (a list of SensorView: first all, then those that are new, each second) and "
        "`state` (machines that became `stale` or `lost`: an object of their states).",
        "content": {server_sent_events.MEDIA_TYPE: {"schema": EVENT_SCHEMA}},
    },
    **problem_responses(401, 404, 422, 503),
}


@router.get("/sensors/events", response_class=Response, responses=STREAM_RESPONSES)
async def events(house: ServicesDep, own: AllowedPlant, plant: PlantName) -> Response:
    """Watch the machines of a plant."""
    check_plant_access(own, plant)
    sensors = require_readings(house)
    try:
        await sensors.machines(plant)  # a stream that ends before it begins could not say why
    except RedisError as error:
        raise redis_unavailable() from error
    return server_sent_events.stream_response(stream(house, sensors, plant))


@router.get("/sensors", responses=problem_responses(401, 404, 422, 503))
async def list_sensors(
    house: ServicesDep,
    own: AllowedPlant,
    plant: PlantName,
    after: Annotated[str, Query(max_length=64, description="Name of the last machine of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
) -> SensorPage:
    """The latest readings of a plant's machines."""
    check_plant_access(own, plant)
    sensors = require_readings(house)
    try:
        names = [name for name in await sensors.machines(plant) if name > after]
        found = await sensors.find_many(plant, names[:limit])
    except RedisError as error:
        raise redis_unavailable() from error
    return SensorPage(sensors=sensor_views(house, found), next=names[limit - 1] if len(names) > limit else None)


@router.get("/sensors/plants", responses=problem_responses(401, 503))
async def list_plants(house: ServicesDep, own: AllowedPlant) -> PlantList:
    """The plants that were heard lately."""
    try:
        found = await require_readings(house).plants(house.clock() - house.settings.sensors_ttl)
    except RedisError as error:
        raise redis_unavailable() from error
    views = [PlantView(plant=name, heard_at=at, machines=count) for name, at, count in found]
    return PlantList(plants=[view for view in views if own in (None, view.plant)])


@router.get("/sensors/{plant}/{machine}", responses=problem_responses(401, 404, 422, 503))
async def get_sensor(
    house: ServicesDep,
    own: AllowedPlant,
    plant: Annotated[str, Path(pattern=PLANT_PATTERN)],
    machine: Annotated[str, Path(pattern=MACHINE_PATTERN)],
) -> SensorView:
    """The latest readings of a machine."""
    check_plant_access(own, plant)
    try:
        found = await require_readings(house).find(plant, machine)
    except RedisError as error:
        raise redis_unavailable() from error
    if found is None:
        raise sensor_not_found()
    return sensor_views(house, [found])[0]


async def stream(house: Services, sensors: RedisReadings, plant: str) -> AsyncIterator[str]:
    silence = StalenessTracker(house.settings)
    try:
        async with sensors.subscribe(plant) as news:
            with house.metrics.event_streams.track_inprogress():
                names = await sensors.machines(plant)
                for start in range(0, len(names) or 1, MAX_PAGE_SIZE):
                    found = await sensors.find_many(plant, names[start : start + MAX_PAGE_SIZE])
                    silence.record(found, house.clock())
                    yield sensors_event(house, found)
                while True:
                    found = await news.receive(POLL_INTERVAL)
                    silence.record(found, house.clock())
                    turned = silence.changed_states(house.clock())
                    yield sensors_event(house, found) if found else server_sent_events.KEEP_ALIVE
                    if turned:
                        yield server_sent_events.format_event("state", json.dumps(turned))
    except RedisError:
        return  # the browser comes again


def sensors_event(house: Services, found: Iterable[Sensor]) -> str:
    data = ",".join(view.model_dump_json() for view in sensor_views(house, found))
    return server_sent_events.format_event("sensors", f"[{data}]")


def sensor_views(house: Services, found: Iterable[Sensor]) -> list[SensorView]:
    now = house.clock()
    return [
        SensorView(**sensor.model_dump(), state=state_at(sensor.received_at, now, house.settings)) for sensor in found
    ]


def check_plant_access(own: str | None, plant: str) -> None:
    """Raises a 404 problem for a plant that is not the caller's own."""
    if own is not None and plant != own:
        raise sensor_not_found()


def require_readings(house: Services) -> RedisReadings:
    """Raises a 503 problem where there are none."""
    if house.readings is None:
        raise Problem(503, "no-sensors", "No live readings are kept here: set BULKHEAD_REDIS_URL.")
    return house.readings


def sensor_not_found() -> Problem:
    return Problem(404, "no-such-sensor", "There is no such machine, or it has been silent for long.")


def redis_unavailable() -> Problem:
    return Problem(503, "redis-unavailable", "Redis does not answer: try again.", headers={"retry-after": "2"})
