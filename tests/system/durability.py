"""Nothing that was answered 202 is lost, doubled or condemned, whatever is killed.

    python -m tests.system.durability --ledger sqlite --jobs 300 --seed 1

Starts a broker, a ledger, the web tier, two render workers and upkeep of its own, submits drawings of distinct bytes
over HTTP, and kills all of these but the ledger with SIGKILL at random meanwhile. Once everything is settled it reads
ledger, store and queues, and prints what it counted; the last line of output is one JSON object. Exit code 1 if any
promise was broken, 0 if none was.
"""

import argparse
import hashlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kombu import Connection

from benchmarks import _drawings as drawings
from embedded.node import prepare_node
from embedded.process import Process
from embedded.supervisor import Supervisor
from tasks.ledger import Ledger, State, open_ledger
from tasks.topology import DEAD_QUEUES, RENDER
from tests.services.mariadb import MariaDb
from tests.services.platform import Platform
from tests.system.chaos import Chaos, plan_kills
from tests.system.clients import Clients, Drawing
from tests.system.verdict import Verdict, every_job, is_settled, judge

LEDGERS = ("sqlite", "mariadb")

# Impatient, so that what takes minutes in a plant takes seconds here; and children are replaced all the time.
SETTINGS = {
    "BULKHEAD_LEASE_SECONDS": "4",
    "BULKHEAD_REPUBLISH_AFTER": "5",
    "BULKHEAD_UPKEEP_INTERVAL": "1",
    "BULKHEAD_JOBS_PER_CHILD": "20",
}

# Kills a hundred jobs, by what is killed. `child` is a rendering child, `worker` its parent.
KILLS = {"broker": 1.4, "web": 2, "worker": 4, "child": 4, "upkeep": 1}

# Seconds that everything may take to settle after the last kill, and that the render queue must then stay empty: longer
# than a message that was sent twice is in a worker's hands.
PATIENCE = 420.0
QUIET = 3.0

CLIENTS = 6


@dataclass(frozen=True, slots=True)
class House:
    """The platform under test and what may be killed of it."""

    platform: Platform
    processes: Mapping[str, list[Process]]


def drawing(number: int, seed: int) -> Drawing:
    """The drawing of that number: kinds take turns, sizes differ."""
    unique = seed * 1_000_000 + number
    width = random.Random(unique).choice((128, 256, 512, 1024))
    kind, content = (
        ("dxf", drawings.dxf(unique)),
        ("svg", drawings.svg(unique)),
        ("tiff", drawings.tiff(unique, 512)),
        ("png", drawings.png(unique, 512)),
    )[number % 4]
    return Drawing(number, f"sheet {number}.{kind}", content, width)


@contextmanager
def scratch(*, keep: bool, tell: Callable[[str], None]) -> Iterator[Path]:
    """A directory for the length of a storm, or longer."""
    home = Path(tempfile.mkdtemp(prefix="bulkhead-durability-"))
    home.chmod(0o755)  # MariaDB's user must be able to pass
    try:
        yield home
    finally:
        if keep:
            tell(f"everything is kept in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def built(home: Path, ledger: str) -> Iterator[House]:
    """Everything started, below `home`, and ended afterwards."""
    node = prepare_node(home / "rabbitmq")
    stages = list(node.stages)
    if ledger == "mariadb":
        (home / "mariadb").mkdir()
        database = MariaDb(home / "mariadb")
        stages.append((database.program,))
    with Supervisor(stages, home / "log") as supervisor:
        platform = Platform(home, node.url, database.fresh_database() if ledger == "mariadb" else None)
        platform.environment.update(SETTINGS)
        try:
            processes = {
                "web": [platform.start_web()],
                "worker": [platform.start_worker("render1"), platform.start_worker("render2")],
                "upkeep": [platform.start_upkeep()],
                "broker": [supervisor.process("rabbitmq")],
            }
            yield House(platform, processes)
        finally:
            platform.stop()


def storm(house: House, jobs: int, seed: int, tell: Callable[[str], None]) -> tuple[Verdict, dict[str, Any]]:
    """Submit, kill, wait until all is settled, judge. Returns the verdict and what was done."""
    ledger = open_ledger(house.platform.settings)
    chaos = Chaos(house.processes, lambda: at_work(ledger), tell, random.Random(seed))
    kills = plan_kills({kind: max(1, round(jobs * rate / 100)) for kind, rate in KILLS.items()}, seed)
    clients = Clients(
        house.platform.url,
        jobs,
        lambda number: drawing(number, seed),
        name=f"durability-{seed}",
        threads=CLIENTS,
        interval=sum(kill.after for kill in kills) / jobs,
    )
    began = time.monotonic()
    try:
        clients.start()
        chaos.run(kills)
        tell(f"the storm is over after {time.monotonic() - began:.0f} s")
        calm = quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < QUIET and time.monotonic() - calm < PATIENCE:
            if clients.busy or not is_settled(every_job(ledger)) or waiting(house)[RENDER]:
                quiet_since = time.monotonic()
            chaos.calm(0.5)
    finally:
        clients.stop()
    settled_after = round(time.monotonic() - calm, 1)
    promises = clients.promises
    done = {
        "killed": dict(chaos.killed),
        "ended_alone": dict(chaos.ended_alone),
        "answers": dict(promises.statuses),
        "sent_again": promises.repeated,
        "storm_seconds": round(calm - began, 1),
        "settled_after_seconds": settled_after,
    }
    for processes in (house.processes["worker"], house.processes["upkeep"]):
        for process in processes:
            process.stop()  # whatever was not acknowledged is in its queue now
    sums = {job: hashlib.sha256(drawing(n, seed).content).hexdigest() for n, job in promises.jobs.items()}
    verdict = judge(ledger, house.platform.store, sums)
    verdict.violations += promises.faults
    left = waiting(house)
    verdict.violations += [f"{count} messages are left in {queue}" for queue, count in left.items() if count]
    ledger.database.close()
    return verdict, {**done, "left_in_queues": sum(left.values())}


def at_work(ledger: Ledger) -> set[int]:
    """The process ids of the children that hold a job."""
    running = ledger.jobs.page(limit=200, states=[State.RUNNING]).jobs
    return {int(job.holder.split(":")[1]) for job in running if job.holder}


def waiting(house: House) -> dict[str, int]:
    """Messages that wait in the render queue and in the dead-letter queues; one in each while the broker is away."""
    names = [RENDER, *(queue.name for queue in DEAD_QUEUES)]
    try:
        with Connection(house.platform.broker_url, connect_timeout=2) as connection, connection.channel() as channel:
            return {name: int(channel.queue_declare(name, passive=True).message_count) for name in names}
    except (OSError, *Connection(house.platform.broker_url).connection_errors):
        return dict.fromkeys(names, 1)


def main() -> int:
    """Run the storm that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ledger", choices=LEDGERS, default="sqlite")
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep logs, ledger and store, and say where they are")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started, as Ctrl-C does
    started = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", file=sys.stderr, flush=True)

    with scratch(keep=asked.keep, tell=tell) as home, built(home, asked.ledger) as house:
        verdict, done = storm(house, asked.jobs, asked.seed, tell)
    result = {
        "ledger": asked.ledger,
        "seed": asked.seed,
        **verdict.counts,
        **done,
        "violations": len(verdict.violations),
    }
    for name, value in result.items():
        print(f"{name:24} {value}")
    for violation in verdict.violations:
        print(f"BROKEN: {violation}")
    print(json.dumps(result))
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
