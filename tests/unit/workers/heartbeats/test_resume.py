"""Reading continues exactly where it stopped, or not at all."""

import pytest

from workers.heartbeats.sources import Batch, Position, PositionLost, ResumeCheck, checksum


def batch(first: int, *bodies: bytes) -> Batch:
    return Batch(list(bodies), first + len(bodies) - 1, 0.0)


def test_given_no_position_then_every_record_is_new() -> None:
    resume = ResumeCheck({})

    assert (resume.offsets, resume.is_pending) == ({}, False)
    assert resume.filter(batch(5, b"a", b"b")).bodies == [b"a", b"b"]


def test_given_a_position_then_only_later_records_are_new() -> None:
    resume = ResumeCheck({0: Position(6, checksum(b"b"))})

    assert (resume.offsets, resume.is_pending) == ({0: 6}, True)
    new = resume.filter(batch(5, b"a", b"b", b"c"))

    assert (new.bodies, new.first_offset, new.position) == ([b"c"], 7, Position(7, checksum(b"c")))
    assert not resume.is_pending
    assert resume.filter(batch(8, b"d")).bodies == [b"d"]


def test_given_a_chunk_that_ends_at_the_position_then_none_of_its_records_is_new() -> None:
    resume = ResumeCheck({0: Position(6, checksum(b"b"))})

    assert resume.filter(batch(5, b"a", b"b")).bodies == []
    assert resume.filter(batch(7, b"c")).bodies == [b"c"]


def test_given_a_chunk_that_ends_before_the_position_then_none_of_its_records_is_new() -> None:
    resume = ResumeCheck({0: Position(6, checksum(b"b"))})

    assert resume.filter(batch(4, b"x", b"a")).bodies == []
    assert resume.is_pending
    assert resume.filter(batch(6, b"b", b"c")).bodies == [b"c"]


def test_given_records_removed_by_retention_then_the_error_says_what_to_do() -> None:
    with pytest.raises(PositionLost) as caught:
        ResumeCheck({0: Position(10, checksum(b"b"))}).filter(batch(4_500, b"z"))

    assert str(caught.value) == (
        "Records 11 to 4499 of the stream were removed before they were read, because the stream keeps a limited "
        "number of bytes. Run `bulkhead heartbeats reset` to continue with the records that are left; no beat is "
        "counted twice."
    )


def test_given_another_stream_of_the_same_name_then_the_error_says_what_to_do() -> None:
    with pytest.raises(
        PositionLost, match=r"^Record 6 differs from the one that was read: .* `bulkhead heartbeats reset` "
    ):
        ResumeCheck({0: Position(6, checksum(b"b"))}).filter(batch(5, b"a", b"other", b"c"))


def test_given_a_stream_that_ends_before_the_position_then_the_error_says_so() -> None:
    error = ResumeCheck({0: Position(4_999, 1)}).missing_record_error()

    assert str(error).startswith("Record 4999 does not exist: the stream is new, or its last records were lost. Run ")
