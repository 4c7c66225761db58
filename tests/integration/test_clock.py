"""Clocks on several hosts: one sends, another takes over."""

from collections.abc import Iterator

import pytest

from tests.conftest import Broker
from tests.integration.renders import celery_app, eventually
from workers.clock import Clock, Lock

pytestmark = pytest.mark.service


@pytest.fixture
def locks(broker: Broker) -> Iterator[tuple[Lock, Lock]]:
    apps = celery_app(broker.url), celery_app(broker.url)
    first, second = (Lock(app) for app in apps)
    yield first, second
    first.release()
    second.release()
    for app in apps:
        app.close()


def test_given_two_clocks_then_one_holds_the_lock_and_the_other_gets_it_once_the_first_is_gone(
    locks: tuple[Lock, Lock],
) -> None:
    first, second = locks

    assert [first.held(), second.held(), first.held(), second.held()] == [True, False, True, False]

    first.release()
    assert eventually(second.held)
    assert not first.held()


def test_given_a_broker_that_dies_then_nobody_holds_the_lock_until_it_is_back(
    broker: Broker, locks: tuple[Lock, Lock]
) -> None:
    first, second = locks
    assert first.held()

    broker.process.kill()
    assert eventually(lambda: not first.held())
    assert not second.held()

    broker.process.start()
    broker.process.wait_ready()
    assert eventually(second.held)
    assert not first.held()


def test_given_a_clock_that_holds_the_lock_then_it_sends_and_one_that_does_not_is_silent(broker: Broker) -> None:
    apps = celery_app(broker.url), celery_app(broker.url)
    clocks = [Clock(app, lazy=False) for app in apps]
    sent: list[int] = []
    for number, clock in enumerate(clocks):
        setattr(clock, "apply_entry", lambda *_args, number=number, **_kwargs: sent.append(number))  # noqa: B010
        for entry in clock.schedule.values():
            entry.last_run_at = entry.default_now().replace(year=2000)

    for clock in (*clocks, *clocks):
        assert clock.tick() <= clock.max_interval

    assert set(sent) == {0}
    for clock, app in zip(clocks, apps, strict=True):
        clock.close()
        app.close()
