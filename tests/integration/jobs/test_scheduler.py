"""Schedulers on several hosts: one is active, and another takes over."""

from collections.abc import Iterator

import pytest

from tests.conftest import Broker
from tests.integration.jobs.renders import celery_app, eventually
from workers.runtime.extensions.scheduler import BrokerLock, SingletonScheduler

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


def test_given_two_schedulers_then_one_has_the_lock_until_it_stops(
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


def test_given_a_scheduler_whose_host_is_down_then_another_one_gets_the_lock(broker: Broker) -> None:
    apps = celery_app(broker.url), celery_app(broker.url)
    for app in apps:
        app.conf.update(broker_heartbeat=1)
    silent, other = (BrokerLock(app) for app in apps)
    assert silent.acquire_or_renew()  # and never renews: its connection stays open without heartbeats

    assert eventually(other.acquire_or_renew, timeout=20)

    for lock, app in zip((silent, other), apps, strict=True):
        lock.release()
        app.close()


def test_given_a_broker_that_is_down_then_nobody_has_the_lock_until_it_returns(
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


def test_given_two_schedulers_then_each_publishes_all_tasks_when_it_becomes_active(
    broker: Broker,
) -> None:
    apps = celery_app(broker.url), celery_app(broker.url)
    first, second = schedulers = [SingletonScheduler(app, lazy=False) for app in apps]
    published: list[tuple[str, str]] = []
    for name, scheduler in (("first", first), ("second", second)):
        scheduler.apply_async = lambda entry, *_args, name=name, **_kwargs: published.append((name, entry.name))
    all_entries = set(apps[0].conf.beat_schedule)

    for scheduler in (first, second) * (len(all_entries) + 1):  # a tick publishes one entry
        assert scheduler.tick() <= scheduler.max_interval
    assert published
    assert set(published) == {("first", entry) for entry in all_entries}

    published.clear()
    first.close()
    eventually(lambda: second.tick() is not None and {name for _scheduler, name in published} == all_entries)

    assert {scheduler for scheduler, _name in published} == {"second"}
    for scheduler, app in zip(schedulers, apps, strict=True):
        scheduler.close()
        app.close()
