"""How many heartbeats a second one core coalesces, and how long a window of 100,000 machines takes to write.

    python -m benchmarks.heartbeats [--beats 1000000]

Starts a RabbitMQ and a MariaDB of its own; two minutes. The stream is filled first, with bodies that differ; then a
consumer, bound to one core, reads, checks and folds them, three readings a beat. The last line of output is one JSON
object: beats a second by the clock, and beside each the same by processor time, which says more on a machine that does
other work; `flush_100k_s` for one MariaDB, `rss_mb` of the consumer with 100,000 machines.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from kombu import Connection, Producer

from benchmarks._services import ROOT, report, scratch, tell
from embedded.node import Node, prepare_node
from embedded.supervisor import Supervisor
from tasks.heartbeats import Beat, Heartbeats, declare_stream
from tasks.topology import EXCHANGE, HEARTBEATS
from tests.services.mariadb import MariaDb
from workers.coalescer.machine import Machine
from workers.coalescer.nodes import Nodes
from workers.coalescer.sink import Flush, TableSink
from workers.coalescer.sources import Position
from workers.coalescer.tables import make_tables

FEW, MANY = 4_500, 100_000
ROUNDS = 3


def beats(machines: int, count: int) -> Iterator[Beat]:
    """Beats of machines in turn, in an order of their own each time."""
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


def fill(node: Node, machines: int, count: int, size: int) -> None:
    """A new stream of so many beats, in messages of `size`."""
    with Connection(node.url) as connection, connection.channel() as channel:
        channel.queue_delete(HEARTBEATS)
        declare_stream(connection)
        producer = Producer(channel)
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


def consume(kind: str, node: Node, count: int) -> dict[str, Any]:
    """What a consumer of its own process tells of reading the stream."""
    url = node.stream_url if kind == "stream" else node.url
    command = [sys.executable, "-m", "benchmarks._consumer", kind, url, str(count)]
    environment = {**os.environ, "BULKHEAD_BROKER_URL": node.url, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=300)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def rates(name: str, told: dict[str, Any], count: int) -> dict[str, int]:
    """Beats a second, by the clock and by processor time."""
    result = {
        f"{name}_per_second": round(count / told["seconds"]),
        f"{name}_per_cpu_second": round(count / told["cpu"]),
    }
    tell(str(result))
    return result


def best(kind: str, node: Node, count: int) -> dict[str, Any]:
    """The fastest of a few rounds: what else the machine does only ever slows one down."""
    return min((consume(kind, node, count) for _ in range(ROUNDS)), key=lambda told: told["seconds"])


def flush_seconds(urls: list[str]) -> float:
    """Seconds that the best of some flushes of 100,000 machines takes, each of which changes every row."""
    make_tables(urls)
    sink = TableSink(Nodes(urls), HEARTBEATS, "benchmark")
    sink.claim(time.time(), 600)
    machines = {beat.machine: Machine("ulm", beat.machine) for beat in beats(MANY, MANY)}
    position, seconds = None, []
    for number in range(ROUNDS):
        for beat in beats(MANY, MANY):
            machines[beat.machine].take(msgspec.structs.replace(beat, seq=number, seen_at=beat.seen_at + number))
        after = Position(number, number)
        seconds.append(sink.flush(Flush(list(machines.values()), position, after, MANY, 60, 0)).seconds)
        position = after
    return min(seconds)


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--beats", type=int, default=1_000_000, help="beats in batches; a fifth of them one by one")
    asked = parser.parse_args()
    singles, batched = asked.beats // 5, asked.beats
    result: dict[str, Any] = {}
    with scratch() as home:
        node = prepare_node(home / "rabbitmq")
        with Supervisor(node.stages, home / "log", tell=tell):
            fill(node, FEW, singles, 1)
            result |= rates("single", best("stream", node, singles), singles)
            result |= rates("amqp", best("amqp", node, singles), singles)
            fill(node, FEW, batched, 100)
            result |= rates("batch", best("stream", node, batched), batched)
            fill(node, MANY, batched, 100)
            told = best("stream", node, batched)
            result |= rates("batch_100k", told, batched)
            result["rss_mb"] = round(told["rss_mb"])
    folder = Path(tempfile.mkdtemp(prefix="bulkhead-mariadb-"))  # mysql may not enter others' directories
    try:
        server = MariaDb(folder)
        with server.running():
            result["flush_100k_s"] = round(flush_seconds([server.fresh_database()]), 2)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report({**result, "load": round(os.getloadavg()[0], 1)})


if __name__ == "__main__":
    main()
