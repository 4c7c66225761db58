"""What billiard says about an end is read into a status."""

import pytest
from billiard.common import human_status

from workers.fence.request import _status


@pytest.mark.parametrize("status", [-9, -11, -15, -6, -64, 0, 1, 70, 155])
def test_an_end_is_read_from_billiards_own_words(status: int) -> None:
    assert _status(f"Worker exited prematurely: {human_status(status)} Job: 12.") == status


def test_an_end_that_says_nothing_counts_as_killed_from_outside() -> None:
    assert _status("Worker exited prematurely, and nobody knows why") == -9
