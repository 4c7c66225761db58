"""Nothing that was answered 202 is lost, doubled or condemned, whatever is killed.

    python -m tests.system.storms.durability --ledger sqlite --jobs 300 --seed 1

Starts a broker, a ledger, the web tier, two render workers and maintenance of its own, submits drawings of distinct bytes
over HTTP, and kills all of these but the ledger with SIGKILL at random meanwhile. Once everything is settled it reads
ledger, store and queues, and prints what it counted; the last line of output is one JSON object. Exit code 1 if any
promise was broken, 0 if none was.
"""

import argparse
import hashlib
import random
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amqp.exceptions import NotFound
from kombu import Connection

from cli.embedded.process import Process
from cli.embedded.rabbitmq import prepare_rabbitmq
from cli.embedded.supervisor import Supervisor
from tasks.jobs import Ledger, State, open_ledger
from tasks.messaging.topology import DEAD_QUEUES, RENDER_QUEUES
from tests.services.mariadb import MariaDb
from tests.services.platform import Platform
from tests.system.storms.chaos import Chaos, plan_kills
from tests.system.storms.chaos_run import SETTINGS, clients, conclude, drawing, pass_over, scratch, teller
from tests.system.storms.verdict import Verdict, every_job, is_settled, judge

LEDGERS = ("sqlite", "mariadb")

# Kills a hundred jobs, by what is killed. `child` is a rendering child, `worker` its parent.
KILLS = {"broker": 1.4, "web": 2, "worker": 4, "child": 4, "maintenance": 1}

# Seconds that everything may take to settle after the last kill.
PATIENCE = 420.0


@dataclass(frozen=True, slots=True)
class House:
    """The platform under test and what may be killed of it."""

    platform: Platform
    processes: Mapping[str, list[Process]]


@contextmanager
def built(home: Path, ledger: str) -> Iterator[House]:
    """Everything started, below `home`, and ended afterwards."""
    node = prepare_rabbitmq(home / "rabbitmq")
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
                "maintenance": [platform.start_maintenance()],
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
    sending = clients(house.platform.url, jobs, lambda number: drawing(number, seed), kills, f"durability-{seed}")

    def is_over() -> bool:
        return is_settled(every_job(ledger)) and not any(waiting(house, RENDER_QUEUES).values())

    done = pass_over(chaos, kills, sending, is_over, patience=PATIENCE)
    promises = sending.promises
    for processes in (house.processes["worker"], house.processes["maintenance"]):
        for process in processes:
            process.stop()  # whatever was not acknowledged is in its queue now
    sums = {job: hashlib.sha256(drawing(n, seed).content).hexdigest() for n, job in promises.jobs.items()}
    verdict = judge(ledger, house.platform.store, sums)
    verdict.violations += promises.faults
    left = waiting(house, [*RENDER_QUEUES, *(queue.name for queue in DEAD_QUEUES)])
    verdict.violations += [f"{count} messages are left in {queue}" for queue, count in left.items() if count]
    ledger.database.close()
    return verdict, {**done, "left_in_queues": sum(left.values())}


def at_work(ledger: Ledger) -> set[int]:
    """The process ids of the children that hold a job."""
    running = ledger.jobs.page(limit=200, states=[State.RUNNING]).jobs
    return {int(job.lease_owner.split(":")[1]) for job in running if job.lease_owner}


def waiting(house: House, queues: Iterable[str]) -> dict[str, int]:
    """Messages that wait in each of the queues: none in one that nobody made, one in each while the broker is away."""
    try:
        with Connection(house.platform.broker_url, connect_timeout=2) as connection:
            return {name: _depth(connection, name) for name in queues}
    except (OSError, *Connection(house.platform.broker_url).connection_errors):
        return dict.fromkeys(queues, 1)


def _depth(connection: Connection, queue: str) -> int:
    try:
        with connection.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).message_count)
    except NotFound:
        return 0


def main() -> int:
    """Run the storm that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ledger", choices=LEDGERS, default="sqlite")
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep logs, ledger and store, and say where they are")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started, as Ctrl-C does
    tell = teller()
    with scratch(keep=asked.keep, tell=tell) as home, built(home, asked.ledger) as house:
        verdict, done = storm(house, asked.jobs, asked.seed, tell)
    return conclude({"ledger": asked.ledger, "seed": asked.seed, **verdict.counts, **done}, verdict.violations)


if __name__ == "__main__":
    sys.exit(main())
