"""Lines are used by one call at a time, and never again after any doubt."""

from collections.abc import Callable
from typing import Any

import pytest
from amqp.exceptions import MessageNacked
from kombu.exceptions import OperationalError

from tasks.messaging import connections
from tasks.messaging.connections import BrokerUnavailable, ConnectionPool, PublisherConnection, QueueFull


class FakeConnection:
    """Counts how it is put away."""

    def __init__(self) -> None:
        self.released = self.collected = 0

    def release(self) -> None:
        self.released += 1

    def collect(self, socket_timeout: float) -> None:
        assert socket_timeout < 1
        self.collected += 1


class Clock:
    """Tells the time that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[PublisherConnection]:
    """Every line that was opened."""
    lines: list[PublisherConnection] = []

    def connect(_app: Any, _timeout: float, **_options: Any) -> PublisherConnection:
        lines.append(PublisherConnection(FakeConnection(), object()))  # type: ignore[arg-type]
        return lines[-1]

    monkeypatch.setattr(connections, "connect", connect)
    return lines


@pytest.fixture
def lines(opened: list[PublisherConnection], clock: Clock) -> ConnectionPool:
    assert opened == []
    return ConnectionPool(None, 1.5, clock)


def failing(*errors: Exception | None) -> Callable[[PublisherConnection, float], str]:
    """Work that meets these errors one after the other, and then none."""
    left = list(errors)

    def work(_line: PublisherConnection, _timeout: float) -> str:
        if left and (error := left.pop(0)):
            raise error
        return "done"

    return work


def test_given_calls_one_after_the_other_then_they_share_a_line(
    lines: ConnectionPool, opened: list[PublisherConnection]
) -> None:
    assert [lines.run(failing()) for _ in range(3)] == ["done"] * 3
    assert len(opened) == 1


def test_given_a_new_line_that_fails_then_it_is_dropped_and_the_call_fails(
    lines: ConnectionPool, opened: list[PublisherConnection]
) -> None:
    with pytest.raises(BrokerUnavailable, match="Check BULKHEAD_BROKER_URL"):
        lines.run(failing(ConnectionResetError("gone")))

    assert [(line.connection.collected, line.connection.released) for line in opened] == [(1, 0)]  # type: ignore[attr-defined]


def test_given_an_idle_line_that_was_closed_meanwhile_then_the_work_is_done_on_a_new_one(
    lines: ConnectionPool, opened: list[PublisherConnection]
) -> None:
    lines.run(failing())

    assert lines.run(failing(ConnectionResetError("gone"))) == "done"
    assert len(opened) == 2
    assert opened[0].connection.collected == 1  # type: ignore[attr-defined]


def test_given_an_idle_line_that_hangs_until_the_deadline_then_nothing_is_tried_again(
    lines: ConnectionPool, opened: list[PublisherConnection], clock: Clock
) -> None:
    lines.run(failing())

    def hang(_line: PublisherConnection, timeout: float) -> str:
        clock.now += timeout
        raise TimeoutError("timed out")

    with pytest.raises(BrokerUnavailable):
        lines.run(hang)
    assert len(opened) == 1


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_nack_is_told_as_a_full_queue_even_when_celery_has_wrapped_it(lines: ConnectionPool, wrapped: bool) -> None:
    error: Exception = MessageNacked()
    if wrapped:
        error = OperationalError("")
        error.__cause__ = MessageNacked()

    with pytest.raises(QueueFull, match="Try again later"):
        lines.run(failing(error))


def test_given_a_mistake_of_the_caller_then_it_comes_through_and_the_line_is_not_used_again(
    lines: ConnectionPool, opened: list[PublisherConnection]
) -> None:
    with pytest.raises(ZeroDivisionError):
        lines.run(failing(ZeroDivisionError()))
    lines.run(failing())

    assert len(opened) == 2


def test_closing_says_good_bye_on_every_idle_line(lines: ConnectionPool, opened: list[PublisherConnection]) -> None:
    lines.run(failing())
    lines.close()

    assert opened[0].connection.released == 1  # type: ignore[attr-defined]
