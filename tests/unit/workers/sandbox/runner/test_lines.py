"""Lines from a process that may be controlled by an attacker."""

import json
import tracemalloc

import pytest
from pydantic import ValidationError

from workers.sandbox.reports import MAX_LINE_BYTES, Failure, Line, LineReader, Progress, encode


def read(*chunks: bytes) -> list[Line]:
    reader = LineReader()
    return [line for chunk in chunks for line in reader.feed(chunk)]


def progress(percent: int) -> bytes:
    return encode(progress={"percent": percent, "stage": "draw", "layer": "PIPES"})


def test_given_lines_in_pieces_of_any_size_then_they_are_the_same() -> None:
    content = b"".join(progress(percent) for percent in range(101))
    whole = read(content)
    assert [line.progress.percent for line in whole if line.progress] == list(range(101))
    for size in (1, 7, 1000):
        assert read(*(content[start : start + size] for start in range(0, len(content), size))) == whole


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"libfoo: warning",
        b"[1]",
        b"null",
        b"\xff\xfe",
        b'{"progress": {"percent": 101, "stage": "draw"}}',
        b'{"progress": {"percent": -1, "stage": "draw"}}',
        b'{"progress": {"percent": "5", "stage": "draw"}}',
        b'{"progress": {"percent": 5}}',
        b'{"progress": {"percent": 5, "stage": "draw", "extra": 1}}',
        b'{"progress": {"percent": 5, "stage": "' + b"x" * 1001 + b'"}}',
        b'{"failure": {"code": "Bad Code", "message": "x"}}',
        b'{"failure": {"code": "' + b"x" * 64 + b'", "message": "x"}}',
        b'{"failure": {"code": "x", "message": "' + b"x" * 4001 + b'"}}',
        b'{"result": [1]}',
        b'{"unknown": 1}',
        b'{"result": ' + b'{"a":' * 20_000,
    ],
)
def test_given_a_line_that_does_not_match_the_schema_then_it_is_ignored(line: bytes) -> None:
    assert read(line + b"\n" + progress(1)) == read(progress(1))


def test_given_a_line_that_is_too_long_then_it_is_dropped_and_the_next_one_is_read() -> None:
    long = json.dumps({"result": {"x": "x" * MAX_LINE_BYTES}}).encode()
    assert read(long + b"\n" + progress(1)) == read(progress(1))
    assert read(long[:1000], long[1000:], b"\n", progress(1)) == read(progress(1))


def test_given_an_endless_line_then_it_is_not_kept_in_memory() -> None:
    reader, chunk = LineReader(), b"x" * MAX_LINE_BYTES
    tracemalloc.start()
    for _ in range(500):
        assert list(reader.feed(chunk)) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reader.total == 500 * MAX_LINE_BYTES
    assert peak < 10 * MAX_LINE_BYTES
    assert list(reader.feed(b"\n" + progress(1))) == read(progress(1))


def test_given_a_last_line_without_a_newline_then_it_is_ignored_as_incomplete() -> None:
    assert read(progress(1) + progress(2)[:-1]) == read(progress(1))


def test_given_each_kind_of_line_then_it_is_parsed() -> None:
    assert read(progress(5)) == [Line(progress=Progress(percent=5, stage="draw", layer="PIPES"))]
    assert read(encode(result={"a": 1})) == [Line(result={"a": 1})]
    assert read(encode(failure={"code": "damaged", "message": "It ends early."})) == [
        Line(failure=Failure(code="damaged", message="It ends early."))
    ]


def test_given_a_report_that_is_too_long_or_no_json_then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 65536 bytes"):
        encode(result={"x": "x" * MAX_LINE_BYTES})
    with pytest.raises(TypeError):
        encode(result=object())


def test_given_a_report_then_it_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Progress(percent=1, stage="draw").percent = 2  # type: ignore[misc]
