"""`tickets.rotate` with scheduler, broker and worker, over a real fleet; and the places that keys never reach."""

import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from heapq import heappop, heappush
from threading import Thread
from uuid import uuid4

import pytest

from cli.embedded.process import NotInstalled, Program
from cli.embedded.programs import worker_program
from tasks import tickets
from tasks.messaging.publisher import Publisher
from tasks.messaging.topology import TICKETS
from tests.conftest import Broker, skip_or_fail
from tests.integration.jobs.renders import celery_app, eventually
from tests.services.faults.canary import Tap, attached, files, found, traced
from tests.services.fleet import Fleet
from tests.services.jumphost import JumpHost
from tests.services.platform import ROOT, Platform
from workers.tickets.audit_log import FILE
from workers.tickets.keyring import Key
from workers.tickets.rotation import RotationRequest
from workers.tickets.verify import VERSIONS, handshake, tls_context

pytestmark = pytest.mark.service

DELIVERIES = 100

# Seconds: production intervals, a few hundred times faster.
INTERVAL = 2.0
ROTATIONS = 3
RATE = 200


@pytest.fixture
def host(fleet: Fleet) -> JumpHost:
    """A jump host that has pushed its first keyring to the fleet."""
    host = JumpHost(fleet)
    host.run(RotationRequest())
    return host


def settings_of(host: JumpHost, broker: Broker) -> dict[str, str]:
    return {**host.environment, "BULKHEAD_BROKER_URL": broker.url, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def publisher(broker: Broker) -> Iterator[Publisher]:
    app = celery_app(broker.url)
    publisher = Publisher(app, 5)
    yield publisher
    publisher.close()
    app.close()


def reached(host: JumpHost, generation: int) -> bool:
    return host.ledger.rotations.find().generation >= generation


def test_given_the_same_task_delivered_a_hundred_times_then_one_key_is_rotated(
    fleet: Fleet, host: JumpHost, broker: Broker, platform: Platform, publisher: Publisher
) -> None:
    before = fleet[0].names()
    message = tickets.RotateMessage(generation=2, fencing_token=1).model_dump()
    for _ in range(DELIVERIES):
        publisher.publish(tickets.TASK, str(uuid4()), message)

    for number in (1, 2):  # two workers, because the lease must hold between processes too
        platform.start(worker_program(f"tickets{number}", TICKETS, broker.url, settings_of(host, broker), host.var))
    eventually(lambda: publisher.queue_depth(TICKETS) == 0)
    platform.stop()  # a warm shutdown: started tasks finish

    (names,) = fleet.keyrings()
    assert names[:2] == before[1:]
    assert host.ledger.rotations.find().generation == 2
    assert host.audit_log().count('"event": "rotated"') == 5 + 5


def test_given_200_handshakes_a_second_then_no_session_is_lost_within_an_interval(
    fleet: Fleet, host: JumpHost, record_property: Callable[[str, object], None]
) -> None:
    results: list[str] = []
    choose = random.Random(1)
    waiting: list[tuple[float, int, float, str, object]] = []
    contexts = {version: tls_context(version) for version in VERSIONS}
    lost, resumed, began = 0, 0, time.monotonic()

    def rotate() -> None:
        for _ in range(ROTATIONS):
            results.append(host.run().result)
            time.sleep(INTERVAL)

    rotator = Thread(target=rotate)
    rotator.start()
    number = 0
    while rotator.is_alive() or waiting:
        number += 1
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        address = choose.choice(fleet.nodes).address
        if waiting and (waiting[0][0] <= time.monotonic() or not rotator.is_alive()):
            _due, _number, issued, version, session = heappop(waiting)
            has_resumed = handshake(contexts[version], address, session, None, 5)[1]  # type: ignore[arg-type]
            if time.monotonic() - issued < INTERVAL:  # otherwise this test was late, not the ticket
                lost, resumed = lost + (not has_resumed), resumed + has_resumed
        elif rotator.is_alive():
            version = choose.choice(list(VERSIONS))
            issued = time.monotonic()
            session, _no = handshake(contexts[version], address, None, None, 5)
            heappush(waiting, (issued + choose.uniform(0, 0.9 * INTERVAL), number, issued, version, session))
    rate = number / (time.monotonic() - began)

    summary = f"{resumed} sessions resumed, {lost} were lost, {rate:.0f} handshakes/s"
    record_property("resumption", summary)
    print(summary)
    assert results == ["rotated"] * ROTATIONS
    assert lost == 0
    assert resumed > 100


def test_given_scheduler_maintenance_and_worker_then_keys_are_rotated_when_due_and_leak_nowhere(
    fleet: Fleet, host: JumpHost, broker: Broker, platform: Platform, publisher: Publisher
) -> None:
    if shutil.which("strace") is None:
        skip_or_fail(NotInstalled("strace", "strace", "leave the tests of ticket keys out"))
    executed, log, audit = host.var / "executed", platform.directory / "log/tickets.log", host.var / FILE
    environment = {**settings_of(host, broker), "BULKHEAD_TICKETS_INTERVAL": str(INTERVAL)}
    plain = worker_program("tickets", TICKETS, broker.url, environment, host.var)
    worker = Program(plain.name, (*traced(executed), *plain.command), plain.is_ready, environment, host.var)
    keys: set[Key] = {key for node in fleet.nodes for key in node.haproxy_keys()}
    tap = Tap(broker.url)
    began = time.monotonic()
    with attached(executed, [node.sshd.pid for node in fleet.nodes]):
        fleet[0].die()  # so that there is something to catch up
        fleet[0].boot()
        platform.environment.update(environment)
        platform.start(worker)
        platform.start_maintenance()
        for generation in (2, 3):
            eventually(partial(reached, host, generation))
            keys |= {key for node in fleet.nodes for key in node.haproxy_keys()}
        elapsed = time.monotonic() - began
        platform.kill()  # strace would wait

    def media() -> dict[str, bytes]:
        nodes = [node.home for node in fleet.nodes]
        return {**files(host.var, *nodes, platform.directory), "broker": tap.recorded}

    try:
        assert elapsed > INTERVAL
        assert len(fleet.keyrings()) == 1
        assert host.resumed() == "50 of 50"
        assert host.ledger.rotations.find().result == "rotated"

        assert len(keys) >= 5
        contents = media()
        assert b"execve" in contents[str(executed)]
        assert b"rotated" in contents[str(log)]
        assert tickets.TASK.encode() in contents["broker"]
        assert found(contents, keys) == set()

        planted = next(iter(keys))
        subprocess.run([*traced(executed), "/bin/true", planted.encode()], check=True)
        publisher.publish(tickets.TASK, str(uuid4()), {"token": planted.value.hex()})
        host.ledger.rotations.claim(planted.encode(), now=0, lease=1, min_token=0)
        with log.open("ab") as file:
            file.write(planted.value)
        with audit.open("a") as text:
            text.write(planted.encode()[3:])
        places = {"broker", *map(str, (executed, log, audit, host.var / "ledger.db"))}
        eventually(lambda: places == {name.removesuffix("-wal") for name in found(media(), keys)}, timeout=10)
    finally:
        tap.close()
