"""The retry policy."""

from collections.abc import Callable

import pytest

from tasks.utils.retry import Backoff, retrying


def fails(times: int, error: Exception) -> Callable[[], int]:
    """A function that fails so many times and then returns the number of its calls."""
    calls = 0

    def call() -> int:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise error
        return calls

    return call


def test_given_errors_worth_a_retry_then_the_operation_is_repeated_until_it_succeeds() -> None:
    delays: list[float] = []
    operation = fails(5, ConnectionError("away"))

    result = retrying(on=ConnectionError, backoff=Backoff(0.5, 2), sleep=delays.append)(operation)

    assert result == 6
    assert len(delays) == 5
    assert all(0 <= delay <= limit for delay, limit in zip(delays, (0.5, 1, 2, 2, 2), strict=True))


def test_given_another_error_then_it_is_raised_at_once() -> None:
    delays: list[float] = []

    with pytest.raises(KeyError):
        retrying(on=lambda error: isinstance(error, OSError), sleep=delays.append)(fails(1, KeyError("bug")))

    assert delays == []


def test_given_a_number_of_attempts_then_the_last_error_is_raised_as_it_is() -> None:
    delays: list[float] = []

    with pytest.raises(ConnectionError, match="away"):
        retrying(on=ConnectionError, attempts=3, sleep=delays.append)(fails(9, ConnectionError("away")))

    assert len(delays) == 2


def test_given_a_shutdown_then_no_further_attempt_is_made() -> None:
    delays: list[float] = []

    with pytest.raises(ConnectionError):
        retrying(on=ConnectionError, give_up=lambda: len(delays) == 1, sleep=delays.append)(
            fails(9, ConnectionError("away"))
        )

    assert len(delays) == 1


def test_given_a_timeout_of_zero_then_the_operation_runs_once() -> None:
    with pytest.raises(ConnectionError):
        retrying(on=ConnectionError, timeout=0, sleep=lambda _: None)(fails(1, ConnectionError("away")))


@pytest.mark.parametrize(("failures", "delay"), [(0, 1), (1, 1), (2, 2), (3, 4), (4, 5), (10_000, 5)])
def test_given_failures_in_a_row_then_delays_double_up_to_the_maximum(failures: int, delay: float) -> None:
    assert Backoff(1, 5).delay(failures) == delay
