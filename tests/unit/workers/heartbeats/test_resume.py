"""Reading goes on exactly where it stopped, or not at all."""

import pytest

from workers.heartbeats.sources import Batch, Position, PositionLost, ResumeCheck, checksum


def batch(first: int, *bodies: bytes) -> Batch:
    return Batch(list(bodies), first + len(bodies) - 1, 0.0)


def test_given_no_position_then_everything_is_new() -> None:
    resume = ResumeCheck({})

    assert (resume.offsets, resume.is_pending) == ({}, False)
    assert resume.filter(batch(5, b"a", b"b")).bodies == [b"a", b"b"]


def test_given_a_position_then_what_comes_after_it_is_new_and_positions_go_on() -> None:
    resume = ResumeCheck({0: Position(6, checksum(b"b"))})

    assert (resume.offsets, resume.is_pending) == ({0: 6}, True)
    admitted = resume.filter(batch(5, b"a", b"b", b"c"))

    assert (admitted.bodies, admitted.first_offset, admitted.position) == ([b"c"], 7, Position(7, checksum(b"c")))
    assert not resume.is_pending
    assert resume.filter(batch(8, b"d")).bodies == [b"d"]


def test_given_a_chunk_that_ends_at_the_position_then_nothing_of_it_is_new() -> None:
    resume = ResumeCheck({0: Position(6, checksum(b"b"))})

    assert resume.filter(batch(5, b"a", b"b")).bodies == []
    assert resume.filter(batch(7, b"c")).bodies == [b"c"]


def test_given_a_chunk_that_ends_before_the_position_then_nothing_of_it_is_new() -> None:
    resume = ResumeCheck({0: Position(6, checksum(b"b"))})

    assert resume.filter(batch(4, b"x", b"a")).bodies == []
    assert resume.is_pending
    assert resume.filter(batch(6, b"b", b"c")).bodies == [b"c"]


def test_given_records_removed_by_retention_then_reading_stops_and_says_what_to_do() -> None:
    with pytest.raises(PositionLost) as caught:
        ResumeCheck({0: Position(10, checksum(b"b"))}).filter(batch(4_500, b"z"))

    assert str(caught.value) == (
        "Records 11 to 4499 of the stream were removed before they were read: it keeps a bounded number of bytes. "
        "Run `bulkhead heartbeats reset` to go on with what the stream has; beats are still counted once."
    )


def test_given_another_stream_under_the_same_name_then_reading_stops_and_says_what_to_do() -> None:
    with pytest.raises(PositionLost, match=r"^Record 6 is not the one that was read: .* `bulkhead heartbeats reset` "):
        ResumeCheck({0: Position(6, checksum(b"b"))}).filter(batch(5, b"a", b"other", b"c"))


def test_given_a_stream_that_ends_before_the_position_then_that_is_said() -> None:
    error = ResumeCheck({0: Position(4_999, 1)}).missing_record_error()

    assert str(error).startswith("Record 4999 does not exist: the stream was made anew, or lost its end. Run ")
