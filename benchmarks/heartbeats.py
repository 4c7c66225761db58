"""How many heartbeats per second one core coalesces, and how long writing a window of 100,000 machines takes.

    python -m benchmarks.heartbeats [--beats 1000000] [--batches FOLDER]

Starts its own RabbitMQ, MariaDB and Galera cluster; takes four minutes. The stream is filled with distinct messages.
Then a consumer on a core of its own reads, validates and folds them, with three readings per heartbeat. Celery does the
same with one task per heartbeat and, if a FOLDER contains celery-batches (`pip install --no-deps --target FOLDER
"celery<5.7" celery-batches`, since it needs an older Celery than ours), with that.

The last line of output is one JSON object: heartbeats per second of wall-clock time and of CPU time, which varies less
on a machine that does other work; `flush_100k_s` for one MariaDB and `flush_100k_galera_s` for three
nodes, `rss_mb` of the consumer with 100,000 machines.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from celery import Celery
from kombu import Connection
from kombu import Producer as AmqpProducer
from rstream import AMQPMessage, Producer

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.services import ROOT, print_progress, print_result, scratch
from cli.embedded.process import Process, Program
from cli.embedded.rabbitmq import RabbitmqNode, prepare_rabbitmq
from cli.embedded.supervisor import Supervisor
from tasks.heartbeats import Beat, Heartbeats, declare_stream
from tasks.messaging.topology import EXCHANGE, HEARTBEATS
from tests.services.galera import Galera
from tests.services.mariadb import MariaDb
from workers.heartbeats.database_nodes import DatabaseNodes
from workers.heartbeats.machine import Machine
from workers.heartbeats.migrate import migrate_tables
from workers.heartbeats.sink import Flush, TableSink
from workers.heartbeats.sources import Position

FEW, MANY = 4_500, 100_000
ROUNDS = 3

# The last core is the consumer's; everything else shares the others.
CORES = sorted(os.sched_getaffinity(0))

# Records published together.
NATIVE_BATCH = 500

# Heartbeats for Celery, which needs a millisecond to publish one.
PEER_BEATS = 10_000
PEER_TIMEOUT = 90  # seconds


def beats(machines: int, count: int) -> Iterator[Beat]:
    """Heartbeats of all machines, in a new random order each time."""
    numbers = list(range(machines))
    for done in range(count):
        if done % machines == 0:
            random.shuffle(numbers)
        yield Beat(
            f"press-{numbers[done % machines]:06}",
            done // machines,
            1_700_000_000 + done // machines + random.random(),
            "running",
            rpm=round(random.gauss(1480, 5), 3),
            temperature_c=round(random.gauss(61, 2), 3),
            vibration_mm_s=round(random.gauss(2, 0.1), 3),
        )


def fill(node: RabbitmqNode, machines: int, count: int, size: int) -> None:
    """Create a stream of `count` heartbeats in messages of `size`."""
    with Connection(node.url) as connection, connection.channel() as channel:
        channel.queue_delete(HEARTBEATS)
        declare_stream(connection)
        producer = AmqpProducer(channel)
        some = beats(machines, count)
        for _ in range(count // size):
            body = msgspec.json.encode(Heartbeats("ulm", [next(some) for _ in range(size)]))
            producer.publish(
                body,
                exchange=EXCHANGE,
                routing_key=HEARTBEATS,
                content_type="application/json",
                content_encoding="utf-8",
            )


def fill_by_stream_protocol(node: RabbitmqNode, machines: int, count: int) -> None:
    """Create a stream of single heartbeats, published by the stream protocol so that a chunk holds hundreds of them.

    An AMQP publisher produces chunks of three; then the broker, which reads chunks one by one, is the bottleneck.
    """

    async def publish() -> None:
        parts = urlsplit(node.stream_url)
        host, port, user, password = parts.hostname, parts.port, parts.username, parts.password
        some = beats(machines, count)
        async with Producer(host or "", port or 0, username=user or "", password=password or "") as producer:
            for _ in range(count // NATIVE_BATCH):
                bodies = [msgspec.json.encode(Heartbeats("ulm", [next(some)])) for _ in range(NATIVE_BATCH)]
                await producer.send_batch(HEARTBEATS, [AMQPMessage(body=body) for body in bodies])

    with Connection(node.url) as connection, connection.channel() as channel:
        channel.queue_delete(HEARTBEATS)
        declare_stream(connection)
    asyncio.run(publish())


def consume(kind: str, node: RabbitmqNode, count: int) -> dict[str, Any]:
    """Run the consumer process and return its result."""
    url = node.stream_url if kind == "stream" else node.url
    command = [sys.executable, "-m", "benchmarks.support.heartbeats_consumer", kind, url, str(count), str(CORES[-1])]
    environment = {**os.environ, "BULKHEAD_BROKER_URL": node.url, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=300)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def rates(name: str, measured: dict[str, Any], count: int) -> dict[str, int]:
    """Heartbeats per second of wall-clock and of CPU time."""
    result = {
        f"{name}_per_second": round(count / measured["seconds"]),
        f"{name}_per_cpu_second": round(count / measured["cpu"]),
    }
    print_progress(str(result))
    return result


def best_of_rounds(kind: str, node: RabbitmqNode, count: int) -> dict[str, Any]:
    """The fastest of a few rounds: other work on the machine only slows a round down."""
    return min((consume(kind, node, count) for _ in range(ROUNDS)), key=lambda measured: measured["seconds"])


def celery_rate(node: RabbitmqNode, home: Path, task: str, folder: str) -> int:
    """Heartbeats per second that a Celery worker folds with `task`."""
    result = home / f"{task}.seconds"
    path = os.pathsep.join(filter(None, [folder, str(ROOT)]))
    own = {"BROKER_URL": node.url, "BEATS": str(PEER_BEATS), "RESULT": str(result), "CORE": str(CORES[-1])}
    environment = {**os.environ, "PYTHONPATH": path, **{f"BENCHMARK_{name}": value for name, value in own.items()}}
    with Celery(broker=node.url, set_as_current=False) as app:
        for beat in beats(FEW, PEER_BEATS):
            body = msgspec.json.encode(Heartbeats("ulm", [beat])).decode()
            app.send_task(task, (body,), queue=task, ignore_result=True)
    arguments = ["-A", "benchmarks.support.heartbeats_celery", "worker", "-P", "solo", "-Q", task, "--without-mingle"]
    arguments += ["--without-gossip", "--without-heartbeat", "--loglevel", "WARNING"]
    program = Program(task, (sys.executable, "-m", "celery", *arguments), lambda: True, environment, directory=ROOT)
    worker = Process(program, home / "log")
    worker.start()
    try:
        deadline = time.monotonic() + PEER_TIMEOUT
        while not (result.exists() and result.read_text()):
            if time.monotonic() > deadline or worker.describe_exit():
                raise TimeoutError(f"Celery's worker did not fold every beat: {worker.log.read_text()[-2000:]}")
            time.sleep(0.1)
    finally:
        worker.kill()
    return round(PEER_BEATS / float(result.read_text()))


def flush_seconds(urls: list[str]) -> float:
    """Seconds of the fastest of several flushes of 100,000 machines, each of which changes every row."""
    migrate_tables(urls)
    sink = TableSink(DatabaseNodes(urls), HEARTBEATS, "benchmark")
    sink.acquire_lease(time.time(), 600)
    machines = {beat.machine: Machine("ulm", beat.machine) for beat in beats(MANY, MANY)}
    position: dict[int, Position] = {}
    seconds = []
    for number in range(ROUNDS):
        for beat in beats(MANY, MANY):
            machines[beat.machine].fold(msgspec.structs.replace(beat, seq=number, seen_at=beat.seen_at + number))
        after = {0: Position(number, number)}
        seconds.append(sink.flush(Flush(list(machines.values()), position, after, MANY, 60, 0)).seconds)
        position = after
    return min(seconds)


@contextmanager
def database_folder() -> Iterator[Path]:
    """A directory that the user mysql can read."""
    folder = Path(tempfile.mkdtemp(prefix="bulkhead-heartbeats-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--beats", type=int, default=1_000_000, help="heartbeats in batches; an eighth of them one by one (1000000)"
    )
    parser.add_argument("--batches", default="", metavar="FOLDER", help="folder with celery-batches and its Celery")
    arguments = parser.parse_args()
    singles, batched = arguments.beats // 8, arguments.beats
    os.sched_setaffinity(0, CORES[:-1] or CORES)
    result: dict[str, Any] = {}
    with scratch() as home:
        node = prepare_rabbitmq(home / "rabbitmq")
        with Supervisor(node.stages, home / "log", report=print_progress):
            fill_by_stream_protocol(node, FEW, singles)
            result |= rates("single", best_of_rounds("stream", node, singles), singles)
            fill(node, FEW, singles, 1)
            result |= rates("single_small_chunks", best_of_rounds("stream", node, singles), singles)
            result |= rates("amqp", best_of_rounds("amqp", node, singles), singles)
            fill(node, FEW, batched, 100)
            result |= rates("batch", best_of_rounds("stream", node, batched), batched)
            fill(node, MANY, batched, 100)
            measured = best_of_rounds("stream", node, batched)
            result |= rates("batch_100k", measured, batched)
            result["rss_mb"] = round(measured["rss_mb"])
            result["task_per_beat_per_second"] = celery_rate(node, home, "one", "")
            if arguments.batches:
                result["celery_batches_per_second"] = celery_rate(node, home, "many", arguments.batches)
    os.sched_setaffinity(0, CORES)
    with database_folder() as folder:
        server = MariaDb(folder)
        with server.running():
            result["flush_100k_s"] = round(flush_seconds([server.fresh_database()]), 2)
    print_progress(str(result))
    with database_folder() as folder:
        cluster = Galera(folder)
        with cluster.running():
            result["flush_100k_galera_s"] = round(flush_seconds(cluster.urls), 2)
    print_result({**result, "load": round(os.getloadavg()[0], 1)})


if __name__ == "__main__":
    main()
