"""Heartbeat messages: which are valid, and why the others are rejected."""

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tasks.heartbeats import MAX_BEATS, MAX_BODY, MalformedHeartbeats, check_names, json_schema, parse

BEAT = {"machine": "press-07", "seq": 41, "seen_at": 1_790_000_000.25, "status": "running", "rpm": 1480.5}
MESSAGE = {"version": 1, "plant": "ulm", "beats": [BEAT]}


def body(**changes: Any) -> bytes:
    """A message with `changes` to its only heartbeat."""
    return json.dumps({**MESSAGE, "beats": [{**BEAT, **changes}]}).encode()


def test_given_one_heartbeat_when_parsed_then_missing_readings_are_none() -> None:
    message = parse(json.dumps(MESSAGE).encode())

    beat = message.beats[0]
    assert (message.plant, beat.machine, beat.seq, beat.seen_at) == ("ulm", "press-07", 41, 1_790_000_000.25)
    assert (beat.rpm, beat.temperature_c, beat.vibration_mm_s) == (1480.5, None, None)


def test_given_the_largest_batch_of_the_longest_heartbeats_then_it_is_valid() -> None:
    longest = {
        "machine": "m" * 64,
        "seq": 2**53 - 1,
        "seen_at": 1_790_000_000.123456,
        "status": "running",
        "rpm": -123_456_789.123_456_78,
        "temperature_c": -123_456_789.123_456_78,
        "vibration_mm_s": -123_456_789.123_456_78,
    }
    batch = json.dumps({**MESSAGE, "beats": [longest] * MAX_BEATS}, indent=1).encode()

    assert 100_000 < len(batch) < MAX_BODY
    assert len(parse(batch).beats) == MAX_BEATS


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"plant": "ulm"}', "missing required field `beats`"),
        (json.dumps({**MESSAGE, "beats": []}).encode(), "length >= 1"),
        (json.dumps({**MESSAGE, "beats": [BEAT] * (MAX_BEATS + 1)}).encode(), "length <= 1000"),
        (json.dumps({**MESSAGE, "version": 2}).encode(), "Invalid enum value 2 - at `$.version`"),
        (json.dumps({**MESSAGE, "colour": 2}).encode(), "unknown field `colour`"),
        (json.dumps({**MESSAGE, "plant": "../ulm"}).encode(), "The name of the plant must match"),
        (json.dumps({**MESSAGE, "plant": "ulm\n"}).encode(), "The name of the plant must match"),
        (body(torque=3), "unknown field `torque` - at `$.beats[0]`"),
        (body(rpm=float("nan")), "JSON is malformed"),
        (body(rpm=float("inf")), "JSON is malformed"),
        (body(rpm=0).replace(b'"rpm": 0', b'"rpm": 1e999'), "Number out of range"),
        (body(rpm=1e10), "`float` <= 1000000000.0 - at `$.beats[0].rpm`"),
        (body(rpm="fast"), "Expected `float | null`, got `str`"),
        (body(rpm=True), "got `bool`"),
        (body(seq=-1), "`int` >= 0"),
        (body(seq=1.5), "Expected `int`, got `float`"),
        (body(seq=2**63), "9007199254740991"),
        (body(seen_at=1.79e12), "`float` <= 100000000000.0 - at `$.beats[0].seen_at`"),
        (body(status="asleep"), "Invalid enum value 'asleep'"),
        (body(machine=""), "length >= 1"),
        (body(machine="m" * 65), "length <= 64"),
        (b"\xff" + body(), "JSON is malformed"),
        (b'{"plant": "\xff"}', "can't decode byte 0xff"),
        (b"{" + b" " * MAX_BODY, "exceeds 512.0 KiB. Send fewer heartbeats"),
    ],
)
def test_given_an_invalid_message_when_parsed_then_the_error_says_where(message: bytes, expected: str) -> None:
    with pytest.raises(MalformedHeartbeats) as caught:
        parse(message)

    assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["press 7", "../7", "press\n", "a,b", "ü", "-7", "'7'", "[7]"])
def test_given_an_invalid_machine_name_when_checked_then_it_is_rejected(name: str) -> None:
    message = parse(body(machine=name))

    with pytest.raises(MalformedHeartbeats, match="The name of a machine must match") as caught:
        check_names(message)

    assert "$.beats[0].machine" in str(caught.value)


def test_given_the_json_schema_then_it_accepts_and_rejects_the_same_messages() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())

    assert validator.is_valid(MESSAGE)
    for beat in ({**BEAT, "machine": "press 7"}, {**BEAT, "torque": 3}, {**BEAT, "rpm": 1e10}, {**BEAT, "seq": -1}):
        assert not validator.is_valid({**MESSAGE, "beats": [beat]})
    assert not validator.is_valid({**MESSAGE, "version": 2})
    assert not validator.is_valid({**MESSAGE, "plant": "../ulm"})
