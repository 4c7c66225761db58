"""Reading goes on exactly where it stopped, or not at all."""

import pytest

from workers.heartbeats.sources import Batch, Position, PositionLost, Resume, mark


def batch(first: int, *bodies: bytes) -> Batch:
    return Batch(list(bodies), first + len(bodies) - 1, 0.0)


def test_given_no_position_then_everything_is_new() -> None:
    resume = Resume({})

    assert (resume.offsets, resume.pending) == ({}, False)
    assert resume.admit(batch(5, b"a", b"b")).bodies == [b"a", b"b"]


def test_given_a_position_then_what_comes_after_it_is_new_and_positions_go_on() -> None:
    resume = Resume({0: Position(6, mark(b"b"))})

    assert (resume.offsets, resume.pending) == ({0: 6}, True)
    admitted = resume.admit(batch(5, b"a", b"b", b"c"))

    assert (admitted.bodies, admitted.first, admitted.position) == ([b"c"], 7, Position(7, mark(b"c")))
    assert not resume.pending
    assert resume.admit(batch(8, b"d")).bodies == [b"d"]


def test_given_a_chunk_that_ends_at_the_position_then_nothing_of_it_is_new() -> None:
    resume = Resume({0: Position(6, mark(b"b"))})

    assert resume.admit(batch(5, b"a", b"b")).bodies == []
    assert resume.admit(batch(7, b"c")).bodies == [b"c"]


def test_given_a_chunk_that_ends_before_the_position_then_nothing_of_it_is_new() -> None:
    resume = Resume({0: Position(6, mark(b"b"))})

    assert resume.admit(batch(4, b"x", b"a")).bodies == []
    assert resume.pending
    assert resume.admit(batch(6, b"b", b"c")).bodies == [b"c"]


def test_given_records_removed_by_retention_then_reading_stops_and_says_what_to_do() -> None:
    with pytest.raises(PositionLost) as caught:
        Resume({0: Position(10, mark(b"b"))}).admit(batch(4_500, b"z"))

    assert str(caught.value) == (
        "Records 11 to 4499 of the stream were removed before they were read: it keeps a bounded number of bytes. "
        "Run `bulkhead heartbeats reset` to go on with what the stream has; beats are still counted once."
    )


def test_given_another_stream_under_the_same_name_then_reading_stops_and_says_what_to_do() -> None:
    with pytest.raises(PositionLost, match=r"^Record 6 is not the one that was read: .* `bulkhead heartbeats reset` "):
        Resume({0: Position(6, mark(b"b"))}).admit(batch(5, b"a", b"other", b"c"))


def test_given_a_stream_that_ends_before_the_position_then_that_is_said() -> None:
    error = Resume({0: Position(4_999, 1)}).nothing_came()

    assert str(error).startswith("Record 4999 does not exist: the stream was made anew, or lost its end. Run ")
