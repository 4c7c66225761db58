"""The latest readings of machines: one, a plant's, and what is new as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from tasks.heartbeats import MACHINE, PLANT
from tasks.sensors import Sensor, State
from web.access.authentication import OwnPlant
from web.dependencies import House, Services
from web.problems import Problem, declare
from web.progress import server_sent_events
from web.readings.redis_readings import RedisError, Sensors
from web.readings.staleness import Silence, state_at

PAGE = 100
LONGEST_PAGE = 1_000
TICK = 1.0  # seconds between two looks for machines that fell silent; also keeps the line alive

router = APIRouter(tags=["sensors"])

PlantName = Annotated[str, Query(pattern=PLANT, description="Whose machines.")]


class SensorView(Sensor):
    """The latest readings of a machine, and whether it is still heard."""

    state: State = Field(description="`stale`, then `lost`, after some intervals of silence.")


class SensorPage(BaseModel):
    """Machines of a plant that were heard lately, by name."""

    sensors: list[SensorView]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class PlantView(BaseModel):
    """A plant that was heard lately."""

    plant: str
    heard_at: float = Field(description="When the broker last took a beat of it, in seconds since 1970.")
    machines: int = Field(description="Machines of it that were heard lately.")


class Plants(BaseModel):
    """The plants that you may look at, by name."""

    plants: list[PlantView]


EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["sensors", "state"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `sensors` (a list of SensorView: first all, then those that are new, each second) and "
        "`state` (machines that became `stale` or `lost`: an object of their states).",
        "content": {server_sent_events.MEDIA_TYPE: {"schema": EVENT}},
    },
    **declare(401, 404, 422, 503),
}


@router.get("/sensors/events", response_class=Response, responses=STREAM)
async def events(house: House, own: OwnPlant, plant: PlantName) -> Response:
    """Watch the machines of a plant."""
    readable(own, plant)
    sensors = sensors_of(house)
    try:
        await sensors.names(plant)  # a stream that ends before it begins could not say why
    except RedisError as error:
        raise away() from error
    return server_sent_events.answer(stream(house, sensors, plant))


@router.get("/sensors", responses=declare(401, 404, 422, 503))
async def listing(
    house: House,
    own: OwnPlant,
    plant: PlantName,
    after: Annotated[str, Query(max_length=64, description="Name of the last machine of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = PAGE,
) -> SensorPage:
    """The latest readings of a plant's machines."""
    readable(own, plant)
    sensors = sensors_of(house)
    try:
        names = [name for name in await sensors.names(plant) if name > after]
        found = await sensors.some(plant, names[:limit])
    except RedisError as error:
        raise away() from error
    return SensorPage(sensors=views(house, found), next=names[limit - 1] if len(names) > limit else None)


@router.get("/sensors/plants", responses=declare(401, 503))
async def plants(house: House, own: OwnPlant) -> Plants:
    """The plants that were heard lately."""
    try:
        found = await sensors_of(house).plants(house.clock() - house.settings.sensors_keep)
    except RedisError as error:
        raise away() from error
    views = [PlantView(plant=name, heard_at=at, machines=count) for name, at, count in found]
    return Plants(plants=[view for view in views if own in (None, view.plant)])


@router.get("/sensors/{plant}/{machine}", responses=declare(401, 404, 422, 503))
async def one(
    house: House,
    own: OwnPlant,
    plant: Annotated[str, Path(pattern=PLANT)],
    machine: Annotated[str, Path(pattern=MACHINE)],
) -> SensorView:
    """The latest readings of a machine."""
    readable(own, plant)
    try:
        found = await sensors_of(house).find(plant, machine)
    except RedisError as error:
        raise away() from error
    if found is None:
        raise missing()
    return views(house, [found])[0]


async def stream(house: Services, sensors: Sensors, plant: str) -> AsyncIterator[str]:
    silence = Silence(house.settings)
    try:
        async with sensors.news(plant) as news:
            with house.metrics.watching.track_inprogress():
                names = await sensors.names(plant)
                for start in range(0, len(names) or 1, LONGEST_PAGE):
                    found = await sensors.some(plant, names[start : start + LONGEST_PAGE])
                    silence.heard(found, house.clock())
                    yield sensors_event(house, found)
                while True:
                    found = await news.next(TICK)
                    silence.heard(found, house.clock())
                    turned = silence.turned(house.clock())
                    yield sensors_event(house, found) if found else server_sent_events.KEEP_ALIVE
                    if turned:
                        yield server_sent_events.event("state", json.dumps(turned))
    except RedisError:
        return  # the browser comes again


def sensors_event(house: Services, found: Iterable[Sensor]) -> str:
    data = ",".join(view.model_dump_json() for view in views(house, found))
    return server_sent_events.event("sensors", f"[{data}]")


def views(house: Services, found: Iterable[Sensor]) -> list[SensorView]:
    now = house.clock()
    return [
        SensorView(**sensor.model_dump(), state=state_at(sensor.received_at, now, house.settings)) for sensor in found
    ]


def readable(own: str | None, plant: str) -> None:
    """Raises a 404 problem for a plant that is not the caller's own."""
    if own is not None and plant != own:
        raise missing()


def sensors_of(house: Services) -> Sensors:
    """Raises a 503 problem where there are none."""
    if house.sensors is None:
        raise Problem(503, "no-sensors", "No live readings are kept here: set BULKHEAD_REDIS_URL.")
    return house.sensors


def missing() -> Problem:
    return Problem(404, "no-such-sensor", "There is no such machine, or it has been silent for long.")


def away() -> Problem:
    return Problem(503, "redis-unavailable", "Redis does not answer: try again.", headers={"retry-after": "2"})
