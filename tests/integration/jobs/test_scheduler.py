"""Clocks on several hosts: one sends, another takes over."""

from collections.abc import Iterator

import pytest

from tests.conftest import Broker
from tests.integration.jobs.renders import celery_app, eventually
from workers.runtime.scheduler import BrokerLock, SingletonScheduler

pytestmark = pytest.mark.service


@pytest.fixture
def locks(broker: Broker) -> Iterator[tuple[BrokerLock, BrokerLock]]:
    apps = celery_app(broker.url), celery_app(broker.url)
    first, second = (BrokerLock(app) for app in apps)
    yield first, second
    first.release()
    second.release()
    for app in apps:
        app.close()


def test_given_two_clocks_then_one_holds_the_lock_and_the_other_gets_it_once_the_first_is_gone(
    locks: tuple[BrokerLock, BrokerLock],
) -> None:
    first, second = locks

    assert [
        first.acquire_or_renew(),
        second.acquire_or_renew(),
        first.acquire_or_renew(),
        second.acquire_or_renew(),
    ] == [True, False, True, False]

    first.release()
    assert eventually(second.acquire_or_renew)
    assert not first.acquire_or_renew()


def test_given_a_clock_whose_host_falls_silent_then_another_one_gets_the_lock(broker: Broker) -> None:
    apps = celery_app(broker.url), celery_app(broker.url)
    for app in apps:
        app.conf.update(broker_heartbeat=1)
    silent, other = (BrokerLock(app) for app in apps)
    assert silent.acquire_or_renew()  # and never asks again: its connection stays open, and nothing comes through it

    assert eventually(other.acquire_or_renew, timeout=20)

    for lock, app in zip((silent, other), apps, strict=True):
        lock.release()
        app.close()


def test_given_a_broker_that_dies_then_nobody_holds_the_lock_until_it_is_back(
    broker: Broker, locks: tuple[BrokerLock, BrokerLock]
) -> None:
    first, second = locks
    assert first.acquire_or_renew()

    broker.process.kill()
    assert eventually(lambda: not first.acquire_or_renew())
    assert not second.acquire_or_renew()

    broker.process.start()
    broker.process.wait_ready()
    assert eventually(second.acquire_or_renew)
    assert not first.acquire_or_renew()


def test_given_two_clocks_when_they_start_then_one_sends_everything_at_once_and_the_other_once_it_takes_over(
    broker: Broker,
) -> None:
    apps = celery_app(broker.url), celery_app(broker.url)
    first, second = clocks = [SingletonScheduler(app, lazy=False) for app in apps]
    sent: list[tuple[str, str]] = []
    for name, clock in (("first", first), ("second", second)):
        clock.apply_async = lambda entry, *_args, name=name, **_kwargs: sent.append((name, entry.name))
    everything = set(apps[0].conf.beat_schedule)

    for clock in (first, second) * (len(everything) + 1):  # a tick sends one entry
        assert clock.tick() <= clock.max_interval
    assert sent
    assert set(sent) == {("first", entry) for entry in everything}

    sent.clear()
    first.close()
    eventually(lambda: second.tick() is not None and {name for _clock, name in sent} == everything)

    assert {clock for clock, _name in sent} == {"second"}
    for clock, app in zip(clocks, apps, strict=True):
        clock.close()
        app.close()
