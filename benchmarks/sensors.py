"""4,500 readings per second with concurrent readers: as JSON files in one directory, and as Redis hashes.

    python -m benchmarks.sensors [--seconds 20]

Starts its own Redis; takes a minute. Both ways write the same readings, 450 every tenth of a second, while two readers
poll single machines and one polls the whole plant. Files are written atomically (a temporary file, renamed); Redis is
written like the coalescer does it. The last line of output is one JSON object of milliseconds. The directory is local:
on a shared file system, every operation also needs a message to a metadata server.
"""

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import redis

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.services import print_progress, print_result, running_redis, scratch
from tasks.heartbeats import Beat
from tasks.sensors import plant_key, sensor_key
from workers.heartbeats.latest_readings import FIELDS, RedisLatestReadings
from workers.heartbeats.machine import Machine

PLANT = "ulm"
MACHINES = 4_500
TICKS = 10  # a second
TTL = 3600  # seconds
SINGLE_READERS = 2

Write = Callable[[list[Machine]], None]
Latencies = list[float]  # seconds


def file_path(folder: Path, machine: str) -> Path:
    """The file of a machine."""
    return folder / f"{machine}.json"


def write_files(folder: Path, machines: list[Machine]) -> None:
    """Write a file for each machine."""
    for machine in machines:
        readings = {name: getattr(machine, name, time.time()) for name in FIELDS}
        temporary = folder / f".{machine.machine}"
        temporary.write_text(json.dumps(readings))
        temporary.replace(file_path(folder, machine.machine))


def read_file(folder: Path, machine: str) -> object:
    return json.loads(file_path(folder, machine).read_text())


def read_folder(folder: Path) -> object:
    """Read all files."""
    names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(".json")]
    return [json.loads((folder / name).read_text()) for name in names]


def read_hash(client: redis.Redis, machine: str) -> object:
    return client.hgetall(sensor_key(PLANT, machine))


def read_plant(client: redis.Redis) -> object:
    """Read all machines of the plant in pages of a thousand, like the web tier."""
    names = [str(name) for name in client.zrange(plant_key(PLANT), 0, -1)]
    found: list[object] = []
    for start in range(0, len(names), 1_000):
        with client.pipeline(transaction=False) as pipe:
            for name in names[start : start + 1_000]:
                pipe.hgetall(sensor_key(PLANT, name))
            found += pipe.execute()
    return found


def read_repeatedly(where: str, whole: bool, stop: Event, answer: Connection) -> None:
    """Read until `stop` is set, at most a hundred times per second, and send the latencies."""
    chance = random.Random(1)
    client = redis.Redis.from_url(where, decode_responses=True) if where.startswith("redis") else None
    latencies: Latencies = []
    while not stop.is_set():
        machine = f"press-{chance.randrange(MACHINES):05}"
        started = time.perf_counter()
        if client is None:
            read_folder(Path(where)) if whole else read_file(Path(where), machine)
        else:
            read_plant(client) if whole else read_hash(client, machine)
        latencies.append(time.perf_counter() - started)
        time.sleep(0.01)
    answer.send(latencies)


@contextmanager
def concurrent_readers(where: str, seen: dict[str, Latencies]) -> Iterator[None]:
    """Run readers during the block, and add their latencies to `seen`."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    running = []
    for kind in (*["read"] * SINGLE_READERS, "plant"):
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=read_repeatedly, args=(where, kind == "plant", stop, theirs))
        process.start()
        running.append((kind, process, mine))
    time.sleep(2)  # until they have started
    yield
    stop.set()
    for kind, process, mine in running:
        seen.setdefault(kind, []).extend(mine.recv())
        process.join()


def measure(name: str, where: str, write: Write, seconds: int) -> dict[str, float]:
    """Write at a constant rate with concurrent readers. Returns the latencies of writes and reads."""
    machines = [Machine(PLANT, f"press-{number:05}") for number in range(MACHINES)]
    for machine in machines:
        machine.fold(Beat(machine.machine, 0, time.time(), "running", 1480.5, 61.2, 2.1))
    write(machines)
    seen: dict[str, Latencies] = {}
    latencies: Latencies = []
    size, written = MACHINES // TICKS, 0
    with concurrent_readers(where, seen):
        cpu, started = time.process_time(), time.perf_counter()
        for tick in range(seconds * TICKS):
            due = started + tick / TICKS
            time.sleep(max(0.0, due - time.perf_counter()))
            some = machines[tick % TICKS * size :][:size]
            for machine in some:
                machine.fold(Beat(machine.machine, tick + 1, time.time(), "running", 1480.5 + tick, 61.2, 2.1))
            write(some)
            latencies.append(time.perf_counter() - due)  # includes the time that a tick waits for the one before
            written += len(some)
        per_second = written / (time.perf_counter() - started)
        cpu = time.process_time() - cpu
    result = {f"{name}_per_second": round(per_second), f"{name}_writer_cpu": round(cpu / seconds, 3)}
    for kind, measured in {"tick": latencies, **seen}.items():
        cuts = statistics.quantiles(measured, n=100)
        result |= {f"{name}_{kind}_p50_ms": round(cuts[49] * 1e3, 2), f"{name}_{kind}_p99_ms": round(cuts[98] * 1e3, 2)}
    print_progress(str(result))
    return result


def main() -> None:
    """Measure both ways and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20, help="seconds of writing, each way (20)")
    arguments = parser.parse_args()
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bulkhead-sensors-") as folder:
        result |= measure("files", folder, lambda some: write_files(Path(folder), some), arguments.seconds)
    with scratch() as home, running_redis(home) as url:
        live = RedisLatestReadings(url, TTL)

        def write(some: list[Machine]) -> None:
            live.publish(dict.fromkeys(some, time.time()))
            live.flush()

        result |= measure("redis", url, write, arguments.seconds)
        live.close()
    print_result({**result, "load": round(os.getloadavg()[0], 1)})


if __name__ == "__main__":
    main()
