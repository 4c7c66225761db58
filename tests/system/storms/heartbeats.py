"""No beat is lost or counted twice, whatever is killed.

    python -m tests.system.storms.heartbeats --beats 8000000 --kills 100 --seed 1 [--database galera]

Starts a broker, a MariaDB (or a Galera cluster of three), Redis and always two coalescers: one at work, one that stands
by. A publisher sends beats until each message is confirmed, some of them late or twice. Meanwhile each coalescer kills
itself when it gets to a named point; some are put to sleep for longer than their lease instead; the broker, Redis and
the database node that is written to are killed and started again. In the end the table, and Redis, must say what the
beats say. The last line of output is one JSON object. Exit code 1 if anything differs.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis
from celery import Celery

from cli.embedded.process import Process, Program, StartFailed
from cli.embedded.programs import coalescer_program
from cli.embedded.rabbitmq import RabbitmqNode, prepare_rabbitmq
from cli.embedded.redis import prepare_redis
from cli.embedded.supervisor import Supervisor
from tasks.heartbeats import MAX_BEATS, HeartbeatPublisher
from tasks.messaging.connections import PublishError
from tasks.sensors import sensor_key
from tests.services.faults.doomed import POINTS
from tests.services.galera import Galera
from tests.services.heartbeats import stored
from tests.services.mariadb import MariaDb
from tests.services.platform import ROOT
from tests.system.storms.oracle import Storm
from workers.heartbeats.database_nodes import DatabaseNodes, NoWritableNode
from workers.heartbeats.migrate import migrate_tables
from workers.heartbeats.status import read_status

MACHINES = 4_500
DATABASES = ("mariadb", "galera")

LEASE = 1.0  # seconds, the least there may be
WINDOW = "0.2"  # seconds
ASLEEP = "asleep"  # in place of a point: the coalescer is stopped for longer than its lease, then goes on
SLEEP = 3 * LEASE
LARGEST = MAX_BEATS * 9 // 10  # beats of a message; late ones and repeated ones come on top
STARTS = 5  # tries of a database node to join
CALM = 5.0  # seconds without anything new in the table, after which the end of the stream is there
AWAY = 2.0  # seconds for which Redis is down
PATIENCE = 90.0  # seconds to get to a point, or to be done in the end
PAUSE = 0.2  # seconds between two messages when the publisher is ahead of the kills

# How often in a hundred kills something else is killed, too.
OTHERS = {"broker": 3, "redis": 3, "database": 3}


Doomed = tuple[Process, str]  # a coalescer, and the point at which it dies


@dataclass
class Sender:
    """Publishes the storm's messages from a thread of its own, about as fast as `done` (0 to 1) goes on."""

    node: RabbitmqNode
    storm: Storm
    messages: int  # about how many there will be
    done: float = 0.0
    sent: int = 0
    again: int = 0  # messages that were sent once more since no confirm came
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
                for body in self.storm.messages():
                    self._publish(publisher, body)
                publisher.close()
        except BaseException as error:  # noqa: BLE001 - told where the storm is judged
            self.error = error

    def _publish(self, publisher: HeartbeatPublisher, body: bytes) -> None:
        while not self.stopping:
            try:
                publisher.publish(body)
            except PublishError:
                self.again += 1
                time.sleep(0.1)
            else:
                break
        self.sent += 1
        if self.done < 1 and self.sent > self.done * self.messages:
            time.sleep(PAUSE)


@dataclass
class House:
    """What the storm goes over."""

    home: Path
    node: RabbitmqNode
    urls: list[str]
    redis_url: str
    broker: Process
    redis: Process
    database: Callable[[], Process]  # the node that is written to
    revive: Callable[[], None]  # starts it again
    settings: dict[str, str] = field(default_factory=dict)

    def coalescer(self, number: int, point: str = "") -> Process:
        """Start one; it dies at the point, if one is named."""
        program = coalescer_program(f"coalescer{number}", self.settings, self.home)
        if point:
            command = (sys.executable, "-m", "tests.services.faults.doomed", point)
            program = Program(program.name, command, program.is_ready, program.environment, self.home)
        process = Process(program, self.home / "log")
        process.start()
        return process


@dataclass(frozen=True)
class Live:
    """A Redis that runs."""

    url: str
    process: Process


@contextmanager
def running_redis(home: Path) -> Iterator[Live]:
    """Prepared once the ports of everything before it are taken."""
    server = prepare_redis(home / "redis")
    with Supervisor([(server.program,)], home / "log") as supervisor:
        yield Live(server.url, supervisor.process(server.program.name))


@contextmanager
def built(database: str) -> Iterator[House]:
    """Everything but the coalescers, in a scratch directory, ended and gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="bulkhead-beats-"))
    home.chmod(0o755)  # MariaDB's user must be able to pass
    try:
        node = prepare_rabbitmq(home / "rabbitmq")
        (home / "database").mkdir()
        with Supervisor(node.stages, home / "log") as brokers, running_redis(home) as live:
            own = (brokers.process("rabbitmq"), live.process)
            if database == "galera":
                cluster = Galera(home / "database")
                with cluster.running():
                    first = cluster.nodes[0]
                    yield _house(home, node, cluster.urls, live.url, own, lambda: first.process, first.rejoin)
            else:
                server = MariaDb(home / "database")
                with server.running():
                    url = server.fresh_database()
                    yield _house(
                        home, node, [url], live.url, own, lambda: server.process, lambda: _again(server.process)
                    )
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _house(
    home: Path,
    node: RabbitmqNode,
    urls: list[str],
    redis_url: str,
    own: tuple[Process, Process],
    database: Callable[[], Process],
    revive: Callable[[], None],
) -> House:
    migrate_tables(urls)
    settings = {
        "PYTHONPATH": str(ROOT),
        "BULKHEAD_BROKER_URL": node.url,
        "BULKHEAD_STREAM_URL": node.stream_url,
        "BULKHEAD_HEARTBEATS_DATABASE_URLS": " ".join(urls),
        "BULKHEAD_HEARTBEATS_WINDOW": WINDOW,
        "BULKHEAD_HEARTBEATS_LEASE": str(LEASE),
        "BULKHEAD_REDIS_URL": redis_url,
        "BULKHEAD_VAR": str(home / "var"),
    }
    return House(home, node, urls, redis_url, *own, database, revive, settings)


def _again(process: Process) -> None:
    process.start()
    process.wait_ready()


def plan(kills: int, seed: int) -> list[tuple[str, str]]:
    """For each kill the point at which a coalescer dies, and what else is killed, if anything: every point in turn."""
    chance = random.Random(seed)
    points = [(*POINTS, ASLEEP)[number % (len(POINTS) + 1)] for number in range(kills)]
    others = [other for other, rate in OTHERS.items() for _ in range(max(1, round(rate * kills / 100)))]
    others = [*others, *[""] * (kills - len(others))][:kills]
    chance.shuffle(points)
    chance.shuffle(others)
    if points[-1] == ASLEEP:  # somebody must be there to take over
        points[0], points[-1] = points[-1], points[0]
    # Readings are not written while Redis is away, so nobody would get there.
    return [
        (point, "" if point == "in redis" and other == "redis" else other)
        for point, other in zip(points, others, strict=True)
    ]


@dataclass
class Chaos:
    """Carries out a plan. `hits` counts the points that were got to, `others` what else was killed."""

    house: House
    tell: Callable[[str], None]
    hits: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    fenced: int = 0  # of those that were put to sleep
    overtaken: int = 0  # fenced without having been put to sleep
    _number: int = 0

    def run(self, kills: list[tuple[str, str]], sender: Sender) -> list[Process]:
        """Returns the two coalescers that are left, which die nowhere."""
        points = [point for point, _ in kills]
        crew = [self._start(points.pop(0))]
        for number, (_, other) in enumerate(kills, 1):
            if points:
                crew.append(self._start(points.pop(0)))
            if other:
                self._strike(other)
            gone, how = self._await_one(crew)
            crew.remove(gone)
            sender.done = number / len(kills)
            self.tell(f"{number} {how}{' and ' + other if other else ''}; {sender.sent} messages are sent")
        return [self._start("")[0], self._start("")[0]]

    def _start(self, point: str) -> Doomed:
        self._number += 1
        return self.house.coalescer(self._number, "" if point == ASLEEP else point), point

    def _await_one(self, crew: list[Doomed]) -> tuple[Doomed, str]:
        """Whichever of them has the lease, and gets to its point, first."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for place, (process, point) in enumerate(crew):
                others = [other for other, _ in crew if other is not process]
                if point == ASLEEP and says(process, "Wrote ") and any(says(other, "Standing by") for other in others):
                    self._put_to_sleep(process)
                    return (process, point), point
                if was_fenced(process):  # it was too slow for its lease: somebody starts it again
                    self.overtaken += 1
                    crew[place] = self._start(point)
                elif (ended := process.describe_exit()) is not None:
                    if ended == "it was killed by SIGKILL":
                        self.hits[point] += 1
                    else:
                        self.broken.append(f"{process.name}, to die {point}: {ended}. {process.log.read_text()[-500:]}")
                    return (process, point), point
            time.sleep(0.02)
        process, point = crew[0]
        self.broken.append(f"nobody got to a point: {[point for _, point in crew]}")
        process.kill()
        return crew[0], "nowhere"

    def _put_to_sleep(self, process: Process) -> None:
        """Stop it until the other one has its lease; then it must find itself fenced."""
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(SLEEP)
        os.kill(process.pid, signal.SIGCONT)
        deadline = time.monotonic() + PATIENCE
        while process.describe_exit() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        self.hits[ASLEEP] += 1
        if was_fenced(process):
            self.fenced += 1
        else:
            self.broken.append(f"{process.name} slept and was not fenced: {process.describe_exit()}")
            process.kill()

    def _strike(self, other: str) -> None:
        """Kill it and start it again."""
        house = self.house
        self.others[other] += 1
        if other == "database":
            house.database().kill()
            _persist(house.revive)
            return
        if other == "broker":
            house.broker.kill()
            _again(house.broker)
            return
        house.redis.stop()  # it keeps what it has; what it forgets when killed comes with a machine's next beat
        time.sleep(AWAY)
        _again(house.redis)


def _persist(start: Callable[[], None]) -> None:
    """A node may give up joining while the others still wait for the one that was killed; then it is started again."""
    for _ in range(STARTS - 1):
        with suppress(StartFailed):
            return start()
    return start()


def says(process: Process, words: str) -> bool:
    """Whether its log has these words."""
    return words in process.log.read_text()


def was_fenced(process: Process) -> bool:
    """Whether it ended because somebody else has its lease."""
    return (
        process.describe_exit() == "it ended with exit code 1"
        and "Another consumer has written" in process.log.read_text()
    )


def wait_for_end(house: House, seconds: float = PATIENCE) -> bool:
    """Whether the table came to the end of the stream: nothing new was written for some windows."""
    nodes, deadline = DatabaseNodes(house.urls), time.monotonic() + seconds
    last: tuple[dict[int, int], float] = ({}, time.monotonic())
    while time.monotonic() < deadline:
        try:
            records = dict(read_status(nodes, "heartbeats").last_offsets)
        except NoWritableNode:
            records = {}
        if records != last[0]:
            last = (records, time.monotonic())
            deadline = time.monotonic() + seconds
        elif records and time.monotonic() - last[1] > CALM:
            return True
        time.sleep(0.2)
    return False


def in_redis(house: House, storm: Storm) -> int:
    """Machines whose readings in Redis are not their latest."""
    wrong = 0
    with redis.Redis.from_url(house.redis_url) as client:
        for (plant, machine), row in storm.oracle.rows.items():
            found = client.hmget(sensor_key(plant, machine), ["seen_at", "seq"])
            wrong += [None if value is None else float(value) for value in found] != list(row["latest"])
    return wrong


def storm_over(house: House, beats: int, kills: int, seed: int, tell: Callable[[str], None]) -> dict[str, object]:
    """Send, kill, wait for the end, compare. What is wrong is in `broken`, told in words."""
    size = min(LARGEST, max(10, beats // (kills * 80)))  # so that there are messages all the while
    storm = Storm(beats, MACHINES, size, seed)
    chaos, sender = Chaos(house, tell), Sender(house.node, storm, beats // size)
    sending = sender.start()
    began = time.monotonic()
    left = chaos.run(plan(kills, seed), sender)
    seconds = time.monotonic() - began
    tell(f"the storm is over after {seconds:.0f} s")
    sending.join()
    if sender.error is not None:
        chaos.broken.append(f"the publisher ended: {sender.error!r}")
    if not wait_for_end(house):
        chaos.broken.append("the coalescer did not come to the end of the stream")
    for process in left:
        process.stop()
    wanted = storm.oracle.expected()
    lost = wrong = 0
    for url in house.urls:
        found = stored(url)
        counted = sum(row["beats"] for row in found.values())
        lost = max(lost, storm.oracle.beats - counted, key=abs)
        wrong = max(
            wrong, sum(found.get(key) != row for key, row in wanted.items()) + len(found.keys() - wanted.keys())
        )
    stale = in_redis(house, storm)
    chaos.broken += [f"{lost} beats are lost (or, below zero, counted twice)"] if lost else []
    chaos.broken += [f"{wrong} rows differ from what the beats say"] if wrong else []
    if (
        stale and not chaos.others["redis"]
    ):  # a coalescer that dies while Redis is down has nowhere to show its last news
        chaos.broken.append(f"{stale} machines' readings in Redis are not their latest")
    return {
        "beats": storm.oracle.beats,
        "machines": len(wanted),
        "messages": sender.sent,
        "sent_again": sender.again,
        "kills": sum(chaos.hits.values()),
        "hits": dict(sorted(chaos.hits.items())),
        "fenced": chaos.fenced,
        "overtaken": chaos.overtaken,
        "also_killed": dict(sorted(chaos.others.items())),
        "storm_seconds": round(seconds),
        "lost": lost,
        "wrong_rows": wrong,
        "stale_readings": stale,
        "broken": chaos.broken,
    }


def main() -> int:
    """Run the storm that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--beats", type=int, default=8_000_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=DATABASES, default="mariadb")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started, as Ctrl-C does
    started = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", file=sys.stderr, flush=True)

    with built(asked.database) as house:
        result = storm_over(house, asked.beats, asked.kills, asked.seed, tell)
    for name, value in result.items():
        print(f"{name:16} {value}")
    print(json.dumps({"database": asked.database, "seed": asked.seed, **result}))
    return 1 if result["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
