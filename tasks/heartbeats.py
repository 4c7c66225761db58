"""Heartbeats: the message that machines of a plant send, thousands of times a second, and its publisher.

A message is one JSON object with a plant and 1 to 1,000 beats. The intake, or any AMQP publisher, appends it to the
stream `heartbeats`. Its JSON Schema is generated from `Heartbeats`.

msgspec decodes beats fifty times as fast as pydantic: a consumer has a few microseconds for each.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
from kombu import Connection
from msgspec import Meta, Struct, structs

from tasks.errors import InvalidInput
from tasks.messaging.publisher import ConfirmedPublisher
from tasks.messaging.topology import EXCHANGE, HEARTBEATS, heartbeats_stream
from tasks.utils.units import format_bytes

MAX_BEATS = 1_000

# Size of MAX_BEATS beats with every field at its longest, and some white space.
MAX_BODY = 512 * 1024

# Limits the sums of readings. No sensor of a machine measures more.
MAX_READING = 1e9

# Seconds since the epoch, in the year 5138: a timestamp in milliseconds is rejected.
MAX_TIMESTAMP = 1e11

# The largest integer that every language's JSON keeps exact (RFC 8259, section 6).
MAX_SEQ = 2**53 - 1

PLANT_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
MACHINE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

_plant = re.compile(PLANT_PATTERN)
_machine = re.compile(MACHINE_PATTERN)

PlantName = Annotated[str, Meta(min_length=1, max_length=63, extra_json_schema={"pattern": PLANT_PATTERN})]

# Matching the pattern while decoding would double the time. `check_names` matches it: at the intake for every beat, in
# the coalescer when it sees a machine for the first time.
MachineName = Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema={"pattern": MACHINE_PATTERN})]

Reading = Annotated[float, Meta(ge=-MAX_READING, le=MAX_READING)]


class MalformedHeartbeats(InvalidInput):
    """The message is not a valid message of heartbeats."""

    code = "malformed-heartbeats"


class Beat(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A heartbeat of a machine, with its readings, if any."""

    machine: Annotated[MachineName, Meta(description="Name of the machine in its plant.")]
    seq: Annotated[
        int, Meta(ge=0, le=MAX_SEQ, description="Sequence number of the beat, which the machine increments by one.")
    ]
    seen_at: Annotated[
        float,
        Meta(ge=0, le=MAX_TIMESTAMP, description="Time of the beat by the machine's clock, seconds since the epoch."),
    ]
    status: Literal["running", "idle", "stopped", "fault", "service"]
    rpm: Annotated[Reading | None, Meta(description="Revolutions per minute.")] = None
    temperature_c: Annotated[Reading | None, Meta(description="Degrees Celsius.")] = None
    vibration_mm_s: Annotated[Reading | None, Meta(description="RMS velocity, millimetres per second.")] = None


class Heartbeats(Struct, frozen=True, forbid_unknown_fields=True):
    """A batch of 1 to 1,000 beats of a plant's machines, in chronological order."""

    plant: Annotated[PlantName, Meta(description="Plant that the machines belong to.")]
    beats: Annotated[list[Beat], Meta(min_length=1, max_length=MAX_BEATS)]
    version: Annotated[Literal[1], Meta(description="Version of this message's schema.")] = 1


# The names of the readings, described by `Beat` alone: the tables, Redis and the HTTP API derive theirs from it.
READINGS = tuple(field.name for field in structs.fields(Beat) if field.default is None)

readings_of: Callable[[Beat], tuple[float | None, ...]] = attrgetter(*READINGS)

_decode = msgspec.json.Decoder(Heartbeats).decode


def parse(body: bytes) -> Heartbeats:
    """Parse a message. Raises MalformedHeartbeats. Machine names are not checked: see `check_names`."""
    if len(body) > MAX_BODY:
        raise MalformedHeartbeats(f"The message exceeds {format_bytes(MAX_BODY)}. Send fewer heartbeats at a time.")
    try:
        message = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedHeartbeats(f"Correct the message: {error}.") from None
    if not is_plant_name(message.plant):
        raise MalformedHeartbeats(f"The name of the plant must match {PLANT_PATTERN}.")
    return message


def check_names(message: Heartbeats) -> None:
    """Check the names of all machines. Raises MalformedHeartbeats."""
    for number, beat in enumerate(message.beats):
        if not is_machine_name(beat.machine):
            raise MalformedHeartbeats(
                f"The name of a machine must match {MACHINE_PATTERN} - at `$.beats[{number}].machine`."
            )


@lru_cache(maxsize=1_000)
def is_plant_name(name: str) -> bool:
    """Whether `name` is a valid name of a plant."""
    return _plant.fullmatch(name) is not None


def is_machine_name(name: str) -> bool:
    """Whether `name` is a valid name of a machine."""
    return _machine.fullmatch(name) is not None


def json_schema() -> dict[str, Any]:
    """JSON Schema of the message, for publishers in other languages."""
    return msgspec.json.schema(Heartbeats)


def reading_descriptions() -> dict[str, str]:
    """The readings and their descriptions, as `Beat` declares them."""
    properties = json_schema()["$defs"]["Beat"]["properties"]
    return {name: properties[name]["description"] for name in READINGS}


class HeartbeatPublisher(ConfirmedPublisher):
    """Appends messages to the stream."""

    def publish(self, body: bytes) -> None:
        """Append a message that has been checked."""
        self._publish(
            body,
            EXCHANGE,
            HEARTBEATS,
            [heartbeats_stream()],
            content_type="application/json",
            content_encoding="utf-8",
        )


def declare_stream(connection: Connection) -> None:
    """Declare the stream with its exchange and binding. Publishers and readers both do: the first one creates it."""
    with connection.channel() as channel:
        heartbeats_stream()(channel).declare()
