"""Heartbeats: status messages of the machines of a plant, thousands per second.

A message is one JSON object: a plant and 1 to 1,000 heartbeats. The HTTP API or any AMQP publisher sends it to the
stream `heartbeats`. Its JSON Schema (`docs/schemas/heartbeats.json`) is generated from `Heartbeats`.

Messages are decoded by msgspec, which is fifty times as fast as pydantic: a consumer has a few microseconds for each
heartbeat.
"""

import re
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from celery import Celery
from kombu import Connection
from msgspec import Meta, Struct

from tasks.errors import InvalidInput
from tasks.messaging.connections import ConnectionPool, PublisherConnection
from tasks.messaging.topology import EXCHANGE, HEARTBEATS, heartbeats_stream
from tasks.utils.units import format_bytes

MAX_BEATS = 1_000

# Bytes: MAX_BEATS heartbeats with every field at its maximum length, and whitespace.
MAX_BODY = 512 * 1024

# Limits the sums of readings. No sensor of a machine measures more.
MAX_READING = 1e9

# Seconds since 1970, before the year 5138: a reading in milliseconds is rejected, not stored.
MAX_TIMESTAMP = 1e11

# The largest integer that every language's JSON keeps exact (RFC 8259, section 6).
MAX_SEQ = 2**53 - 1

PLANT_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
MACHINE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

_plant = re.compile(PLANT_PATTERN)
_machine = re.compile(MACHINE_PATTERN)

PlantName = Annotated[str, Meta(min_length=1, max_length=63, extra_json_schema={"pattern": PLANT_PATTERN})]

# Matching a pattern would take as long as the rest of decoding. `check_names` matches it instead: the HTTP API calls it
# for every heartbeat, the coalescer once per machine.
MachineName = Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema={"pattern": MACHINE_PATTERN})]

Reading = Annotated[float, Meta(ge=-MAX_READING, le=MAX_READING)]


class MalformedHeartbeats(InvalidInput):
    """The message of heartbeats is invalid."""

    code = "invalid-heartbeats"


class Beat(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One heartbeat of a machine, with its readings, if any."""

    machine: Annotated[MachineName, Meta(description="Name of the machine in its plant.")]
    seq: Annotated[
        int, Meta(ge=0, le=MAX_SEQ, description="Sequence number, which the machine increments with every heartbeat.")
    ]
    seen_at: Annotated[
        float, Meta(ge=0, le=MAX_TIMESTAMP, description="Time by the machine's clock, in seconds since 1970.")
    ]
    status: Literal["running", "idle", "stopped", "fault", "service"]
    rpm: Annotated[Reading | None, Meta(description="Revolutions per minute.")] = None
    temperature_c: Annotated[Reading | None, Meta(description="Temperature in degrees Celsius.")] = None
    vibration_mm_s: Annotated[
        Reading | None, Meta(description="Vibration velocity (RMS) in millimetres per second.")
    ] = None


class Heartbeats(Struct, frozen=True, forbid_unknown_fields=True):
    """Heartbeats of a plant's machines, in the order in which they happened."""

    plant: Annotated[PlantName, Meta(description="Name of the plant.")]
    beats: Annotated[list[Beat], Meta(min_length=1, max_length=MAX_BEATS)]
    version: Annotated[Literal[1], Meta(description="Version of the message schema.")] = 1


_decode = msgspec.json.Decoder(Heartbeats).decode


def parse(body: bytes) -> Heartbeats:
    """Decode a message, except for the names of machines: see `check_names`. Raises MalformedHeartbeats."""
    if len(body) > MAX_BODY:
        raise MalformedHeartbeats(
            f"The message is longer than {format_bytes(MAX_BODY)}: send fewer heartbeats at a time."
        )
    try:
        message = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedHeartbeats(f"Correct the message: {error}.") from None
    if not is_plant_name(message.plant):
        raise MalformedHeartbeats(f"The name of the plant must match {PLANT_PATTERN}.")
    return message


def check_names(message: Heartbeats) -> None:
    """Raise MalformedHeartbeats unless the name of every machine is valid."""
    for number, beat in enumerate(message.beats):
        if not is_machine_name(beat.machine):
            raise MalformedHeartbeats(
                f"The name of a machine must match {MACHINE_PATTERN} - at `$.beats[{number}].machine`."
            )


@lru_cache(maxsize=1_000)
def is_plant_name(name: str) -> bool:
    """Whether this is a valid name of a plant."""
    return _plant.fullmatch(name) is not None


def is_machine_name(name: str) -> bool:
    """Whether this is a valid name of a machine."""
    return _machine.fullmatch(name) is not None


def json_schema() -> dict[str, Any]:
    """JSON Schema of the message, for publishers in other languages."""
    return msgspec.json.schema(Heartbeats)


class HeartbeatPublisher:
    """Publishes messages with confirms. Thread-safe. `timeout` is the maximum duration of a call in seconds."""

    def __init__(self, app: Celery, timeout: float) -> None:
        self._pool = ConnectionPool(app, timeout)

    def publish(self, body: bytes) -> None:
        """Append one validated message to the stream. Raises BrokerUnavailable or QueueFull."""

        def send(line: PublisherConnection, timeout: float) -> None:
            line.producer.publish(
                body,
                exchange=EXCHANGE,
                routing_key=HEARTBEATS,
                declare=[heartbeats_stream()],
                content_type="application/json",
                content_encoding="utf-8",
                mandatory=True,
                retry=False,
                timeout=timeout,
                confirm_timeout=timeout,
            )

        self._pool.run(send)

    def close(self) -> None:
        """Close every idle connection."""
        self._pool.close()


def declare_stream(connection: Connection) -> None:
    """Declare the stream with its exchange and binding, as publishers do."""
    with connection.channel() as channel:
        heartbeats_stream()(channel).declare()
