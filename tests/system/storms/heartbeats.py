"""No heartbeat is lost or counted twice, whatever is killed.

    python -m tests.system.storms.heartbeats --beats 8000000 --kills 100 --seed 1 [--database galera]

Starts a broker, a MariaDB (or a Galera cluster of three), Redis, and always two coalescers: one active, one on standby.
A publisher sends heartbeats until each message is confirmed, some late, some twice. Meanwhile each coalescer kills
itself at a named point, or is suspended for longer than its lease; the broker, Redis and the database node that
receives the writes are killed and restarted. In the end the table and Redis must have the values of the oracle. The
last line of output is one JSON object. Exit code 1 if there is a violation.
"""

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import redis
from celery import Celery

from cli.embedded.process import Process, StartFailed
from cli.embedded.rabbitmq import RabbitmqNode
from tasks.heartbeats import MAX_BEATS, HeartbeatPublisher
from tasks.messaging.connections import PublishError
from tasks.sensors import sensor_key
from tests.services.faults.doomed import POINTS
from tests.services.heartbeats import stored
from tests.system.storms.heartbeats_system import DATABASES, LEASE, System, restart, running_system
from tests.system.storms.oracle import MessageGenerator
from workers.heartbeats.database_nodes import DatabaseNodes, NoWritableNode
from workers.heartbeats.status import read_status

MACHINES = 4_500

SUSPENDED = "suspended"  # instead of a point: the coalescer is suspended for longer than its lease
SUSPENSION = 3 * LEASE
MAX_MESSAGE_SIZE = MAX_BEATS * 9 // 10  # heartbeats of a message, without late and duplicate ones
JOIN_ATTEMPTS = 5  # of a database node
QUIET_PERIOD = 5.0  # seconds without a new offset, after which the stream has been consumed
REDIS_DOWNTIME = 2.0  # seconds
TIMEOUT = 90.0  # seconds to reach a point, and to consume the stream in the end
THROTTLE_DELAY = 0.2  # seconds between two messages when the publisher is ahead of the kills

# Kills of other processes per hundred kills of coalescers.
OTHERS = {"broker": 3, "redis": 3, "database": 3}


Doomed = tuple[Process, str]  # a coalescer, and the point at which it kills itself


@dataclass
class Sender:
    """Publishes the messages in a thread, about as fast as the progress of the kills (`done`, 0 to 1)."""

    node: RabbitmqNode
    generator: MessageGenerator
    messages: int  # approximate total
    done: float = 0.0
    sent: int = 0
    repeated: int = 0  # unconfirmed messages that were published again
    stopping: bool = False
    error: BaseException | None = None

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        try:
            with Celery(broker=self.node.url, set_as_current=False) as app:
                app.conf.broker_transport_options = {"confirm_publish": True}
                publisher = HeartbeatPublisher(app, 10)
                for body in self.generator.messages():
                    self._publish(publisher, body)
                publisher.close()
        except BaseException as error:  # noqa: BLE001 - reported with the result
            self.error = error

    def _publish(self, publisher: HeartbeatPublisher, body: bytes) -> None:
        while not self.stopping:
            try:
                publisher.publish(body)
            except PublishError:
                self.repeated += 1
                time.sleep(0.1)
            else:
                break
        self.sent += 1
        if self.done < 1 and self.sent > self.done * self.messages:
            time.sleep(THROTTLE_DELAY)


def plan(kills: int, seed: int) -> list[tuple[str, str]]:
    """For each kill the point at which a coalescer kills itself, and the other process to kill, if any."""
    rng = random.Random(seed)
    points = [(*POINTS, SUSPENDED)[number % (len(POINTS) + 1)] for number in range(kills)]
    others = [other for other, rate in OTHERS.items() for _ in range(max(1, round(rate * kills / 100)))]
    others = [*others, *[""] * (kills - len(others))][:kills]
    rng.shuffle(points)
    rng.shuffle(others)
    if points[-1] == SUSPENDED:  # another coalescer must be there to take over
        points[0], points[-1] = points[-1], points[0]
    # Readings are not written while Redis is down, so no coalescer would reach that point.
    return [
        (point, "" if point == "in redis" and other == "redis" else other)
        for point, other in zip(points, others, strict=True)
    ]


@dataclass
class Chaos:
    """Carries out a plan. `hits` counts the points reached, `others` the other processes killed."""

    system: System
    log: Callable[[str], None]
    hits: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    lost_lease: int = 0  # suspended coalescers that lost their lease
    overtaken: int = 0  # coalescers that lost their lease without suspension
    _number: int = 0

    def run(self, kills: list[tuple[str, str]], sender: Sender) -> list[Process]:
        """Returns the last two coalescers, which are not killed."""
        points = [point for point, _ in kills]
        coalescers = [self._start(points.pop(0))]
        for number, (_, other) in enumerate(kills, 1):
            if points:
                coalescers.append(self._start(points.pop(0)))
            if other:
                self._kill_other(other)
            ended, point = self._await_one(coalescers)
            coalescers.remove(ended)
            sender.done = number / len(kills)
            self.log(f"{number} {point}{' and ' + other if other else ''}; {sender.sent} messages sent")
        return [self._start("")[0], self._start("")[0]]

    def _start(self, point: str) -> Doomed:
        self._number += 1
        return self.system.coalescer(self._number, "" if point == SUSPENDED else point), point

    def _await_one(self, coalescers: list[Doomed]) -> tuple[Doomed, str]:
        """Wait for the first coalescer that reaches its point."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            for place, (process, point) in enumerate(coalescers):
                others = [other for other, _ in coalescers if other is not process]
                if (
                    point == SUSPENDED
                    and log_contains(process, "Wrote ")
                    and any(log_contains(other, "Standing by") for other in others)
                ):
                    self._suspend(process)
                    return (process, point), point
                if has_lost_lease(process):  # it was too slow to renew its lease, so it is restarted
                    self.overtaken += 1
                    coalescers[place] = self._start(point)
                elif (ended := process.describe_exit()) is not None:
                    if ended == "it was killed by SIGKILL":
                        self.hits[point] += 1
                    else:
                        self.violations.append(
                            f"{process.name}, to be killed {point}: {ended}. {process.log.read_text()[-500:]}"
                        )
                    return (process, point), point
            time.sleep(0.02)
        process, point = coalescers[0]
        self.violations.append(f"no coalescer reached its point: {[point for _, point in coalescers]}")
        process.kill()
        return coalescers[0], "nowhere"

    def _suspend(self, process: Process) -> None:
        """Suspend it until the other one has its lease. It must then detect that it lost the lease."""
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(SUSPENSION)
        os.kill(process.pid, signal.SIGCONT)
        deadline = time.monotonic() + TIMEOUT
        while process.describe_exit() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        self.hits[SUSPENDED] += 1
        if has_lost_lease(process):
            self.lost_lease += 1
        else:
            self.violations.append(f"{process.name} was suspended but kept its lease: {process.describe_exit()}")
            process.kill()

    def _kill_other(self, other: str) -> None:
        """Kill it and restart it."""
        system = self.system
        self.others[other] += 1
        if other == "database":
            system.database().kill()
            _retry_join(system.restart_database)
            return
        if other == "broker":
            system.broker.kill()
            restart(system.broker)
            return
        system.redis.stop()  # gracefully: data lost by a kill returns with the next heartbeats only
        time.sleep(REDIS_DOWNTIME)
        restart(system.redis)


def _retry_join(start: Callable[[], None]) -> None:
    """Restart a node until it joins: it may give up while the others still wait for the killed one."""
    for _ in range(JOIN_ATTEMPTS - 1):
        with suppress(StartFailed):
            return start()
    return start()


def log_contains(process: Process, text: str) -> bool:
    """Whether its log contains the text."""
    return text in process.log.read_text()


def has_lost_lease(process: Process) -> bool:
    """Whether it ended because another coalescer has its lease."""
    return (
        process.describe_exit() == "it ended with exit code 1"
        and "Another coalescer holds the lease or has written" in process.log.read_text()
    )


def wait_for_end(system: System, seconds: float = TIMEOUT) -> bool:
    """Wait until the stream has been consumed: no new offset for some windows. Returns False after a timeout."""
    nodes, deadline = DatabaseNodes(system.urls), time.monotonic() + seconds
    last: tuple[dict[int, int], float] = ({}, time.monotonic())
    while time.monotonic() < deadline:
        try:
            records = dict(read_status(nodes, "heartbeats").last_offsets)
        except NoWritableNode:
            records = {}
        if records != last[0]:
            last = (records, time.monotonic())
            deadline = time.monotonic() + seconds
        elif records and time.monotonic() - last[1] > QUIET_PERIOD:
            return True
        time.sleep(0.2)
    return False


def stale_readings(system: System, generator: MessageGenerator) -> int:
    """How many machines have readings in Redis that are not their latest."""
    stale = 0
    with redis.Redis.from_url(system.redis_url) as client:
        for (plant, machine), row in generator.oracle.rows.items():
            values = client.hmget(sensor_key(plant, machine), ["seen_at", "seq"])
            stale += [None if value is None else float(value) for value in values] != list(row["latest"])
    return stale


def run_chaos(system: System, beats: int, kills: int, seed: int, log: Callable[[str], None]) -> dict[str, object]:
    """Publish and kill, wait for the end of the stream, and compare. Returns statistics and `violations`."""
    size = min(MAX_MESSAGE_SIZE, max(10, beats // (kills * 80)))  # so that messages are published during all kills
    generator = MessageGenerator(beats, MACHINES, size, seed)
    chaos, sender = Chaos(system, log), Sender(system.node, generator, beats // size)
    sending = sender.start()
    started_at = time.monotonic()
    remaining = chaos.run(plan(kills, seed), sender)
    seconds = time.monotonic() - started_at
    log(f"all kills are done after {seconds:.0f} s")
    sending.join()
    if sender.error is not None:
        chaos.violations.append(f"the publisher ended: {sender.error!r}")
    if not wait_for_end(system):
        chaos.violations.append("the coalescer did not consume the whole stream")
    for process in remaining:
        process.stop()
    expected = generator.oracle.expected()
    lost = wrong = 0
    for url in system.urls:
        actual = stored(url)
        counted = sum(row["beats"] for row in actual.values())
        lost = max(lost, generator.oracle.beats - counted, key=abs)
        wrong = max(
            wrong, sum(actual.get(key) != row for key, row in expected.items()) + len(actual.keys() - expected.keys())
        )
    stale = stale_readings(system, generator)
    chaos.violations += [f"{lost} heartbeats are lost (negative: counted twice)"] if lost else []
    chaos.violations += [f"{wrong} rows differ from the oracle"] if wrong else []
    if stale and not chaos.others["redis"]:  # a coalescer killed while Redis is down cannot publish its latest readings
        chaos.violations.append(f"{stale} machines' readings in Redis are not their latest")
    return {
        "beats": generator.oracle.beats,
        "machines": len(expected),
        "messages": sender.sent,
        "repeated": sender.repeated,
        "kills": sum(chaos.hits.values()),
        "hits": dict(sorted(chaos.hits.items())),
        "lost_lease": chaos.lost_lease,
        "overtaken": chaos.overtaken,
        "also_killed": dict(sorted(chaos.others.items())),
        "kill_seconds": round(seconds),
        "lost": lost,
        "wrong_rows": wrong,
        "stale_readings": stale,
        "violations": chaos.violations,
    }


def main() -> int:
    """Run with the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--beats", type=int, default=8_000_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=DATABASES, default="mariadb")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # stops all services, like Ctrl-C
    started = time.monotonic()

    def log(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", file=sys.stderr, flush=True)

    with running_system(arguments.database) as system:
        result = run_chaos(system, arguments.beats, arguments.kills, arguments.seed, log)
    for name, value in result.items():
        print(f"{name:16} {value}")
    print(json.dumps({"database": arguments.database, "seed": arguments.seed, **result}))
    return 1 if result["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
