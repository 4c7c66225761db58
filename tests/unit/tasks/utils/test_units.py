"""Sizes as people read them."""

import pytest

from tasks.utils.units import GIB, MIB, format_bytes


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1536, "1.5 KiB"),
        (4 * MIB, "4.0 MiB"),
        (505 * MIB, "505 MiB"),
        (2 * GIB, "2,048 MiB"),
        (12 * GIB, "12.0 GiB"),
        (-MIB, "-1.0 MiB"),
    ],
)
def test_given_a_size_then_it_is_shown_in_the_unit_that_keeps_it_short(count: int, text: str) -> None:
    assert format_bytes(count) == text
