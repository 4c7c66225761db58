"""Heartbeats: what the machines of a plant say of themselves, thousands of times a second.

A message is one JSON object: a plant, and one beat or up to 1,000. It goes to the stream `heartbeats`, from the intake
or from any AMQP publisher. Its JSON Schema (`docs/reference/schemas/heartbeats.json`) is generated from `Heartbeats`.

Beats are decoded by msgspec, fifty times as fast as by pydantic: a consumer has a few microseconds for each.
"""

import re
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from celery import Celery
from kombu import Connection
from msgspec import Meta, Struct

from tasks.messaging.connections import ConnectionPool, PublisherConnection
from tasks.messaging.topology import EXCHANGE, HEARTBEATS, heartbeats_stream

MAX_BEATS = 1_000

# Bytes: as many beats, each with every field at its longest, and spaces.
MAX_BODY = 512 * 1024

# Bounds what sums of readings can become; no sensor of a machine measures more.
MAX_READING = 1e9

# Seconds since 1970, before the year 5138: a reading in milliseconds is refused, not stored.
MAX_TIMESTAMP = 1e11

# The largest integer that every language's JSON keeps exact (RFC 8259, section 6).
MAX_SEQ = 2**53 - 1

PLANT_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
MACHINE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

_plant = re.compile(PLANT_PATTERN)
_machine = re.compile(MACHINE_PATTERN)

PlantName = Annotated[str, Meta(min_length=1, max_length=63, extra_json_schema={"pattern": PLANT_PATTERN})]

# A pattern would take as long as all the rest of decoding. `check_names` holds it, at the intake for every beat, in the
# coalescer when a machine is met for the first time.
MachineName = Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema={"pattern": MACHINE_PATTERN})]

Reading = Annotated[float, Meta(ge=-MAX_READING, le=MAX_READING)]


class MalformedHeartbeats(ValueError):
    """A message that is no message of heartbeats; the text says where it is wrong."""


class Beat(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One sign of life of a machine, and what it measured, if anything."""

    machine: Annotated[MachineName, Meta(description="The machine's name in its plant.")]
    seq: Annotated[
        int, Meta(ge=0, le=MAX_SEQ, description="Number of the beat: the machine's own, one more with every beat.")
    ]
    seen_at: Annotated[
        float, Meta(ge=0, le=MAX_TIMESTAMP, description="When, in seconds since 1970, by the machine's clock.")
    ]
    status: Literal["running", "idle", "stopped", "fault", "service"]
    rpm: Annotated[Reading | None, Meta(description="Revolutions a minute.")] = None
    temperature_c: Annotated[Reading | None, Meta(description="Degrees Celsius.")] = None
    vibration_mm_s: Annotated[Reading | None, Meta(description="Velocity, RMS, in millimetres a second.")] = None


class Heartbeats(Struct, frozen=True, forbid_unknown_fields=True):
    """One beat of a plant's machines, or a batch of them in the order in which they happened."""

    plant: Annotated[PlantName, Meta(description="Whose machines these are.")]
    beats: Annotated[list[Beat], Meta(min_length=1, max_length=MAX_BEATS)]
    version: Annotated[Literal[1], Meta(description="Version of this message's schema.")] = 1


_decode = msgspec.json.Decoder(Heartbeats).decode


def parse(body: bytes) -> Heartbeats:
    """The message in `body`. Raises Malformed; the names of machines are left to `is_machine`."""
    if len(body) > MAX_BODY:
        raise MalformedHeartbeats(f"the message is longer than {MAX_BODY} bytes: send fewer beats at a time")
    try:
        message = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedHeartbeats(str(error)) from None
    if not is_plant_name(message.plant):
        raise MalformedHeartbeats(f"the plant's name must match {PLANT_PATTERN}")
    return message


def check_names(message: Heartbeats) -> None:
    """Raises Malformed unless every machine has a name that may be one."""
    for number, beat in enumerate(message.beats):
        if not is_machine_name(beat.machine):
            raise MalformedHeartbeats(
                f"the machine's name must match {MACHINE_PATTERN} - at `$.beats[{number}].machine`"
            )


@lru_cache(maxsize=1_000)
def is_plant_name(name: str) -> bool:
    """Whether a plant may be called so."""
    return _plant.fullmatch(name) is not None


def is_machine_name(name: str) -> bool:
    """Whether a machine may be called so."""
    return _machine.fullmatch(name) is not None


def json_schema() -> dict[str, Any]:
    """JSON Schema of the message, for publishers in other languages."""
    return msgspec.json.schema(Heartbeats)


class HeartbeatPublisher:
    """Publishes messages with confirms. Safe to share between threads; `timeout` is the seconds a call may take."""

    def __init__(self, app: Celery, timeout: float) -> None:
        self._pool = ConnectionPool(app, timeout)

    def publish(self, body: bytes) -> None:
        """Append one message, checked before, to the stream. Raises BrokerUnavailable or QueueFull."""

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
    """Declare the stream, its exchange and binding, as publishers do: whoever comes first makes it."""
    with connection.channel() as channel:
        heartbeats_stream()(channel).declare()
