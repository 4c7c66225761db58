"""No accepted job (202) is lost, done twice or wrongly failed, whatever is killed.

    python -m tests.system.storms.durability --ledger sqlite --jobs 300 --seed 1

Starts its own broker, ledger, web tier, two render workers and maintenance worker, and submits distinct drawings over
HTTP. Meanwhile it kills all of these but the ledger at random with SIGKILL. When all jobs have finished it checks
ledger, store and queues and prints statistics; the last line of output is one JSON object. Exit code 1 if there is a
violation, else 0.
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
from tests.system.storms.chaos_run import (
    SETTINGS,
    drawing,
    make_clients,
    make_logger,
    print_result,
    run_with_kills,
    scratch_directory,
)
from tests.system.storms.verdict import Verdict, all_finished, all_jobs, judge

LEDGERS = ("sqlite", "mariadb")

# Kills per hundred jobs. `child` is a worker child, `worker` its parent.
KILLS = {"broker": 1.4, "web": 2, "worker": 4, "child": 4, "maintenance": 1}

# Seconds until all jobs have finished after the last kill.
FINISH_TIMEOUT = 420.0


@dataclass(frozen=True, slots=True)
class System:
    """The platform under test, and its processes that may be killed."""

    platform: Platform
    processes: Mapping[str, list[Process]]


@contextmanager
def running_system(home: Path, ledger: str) -> Iterator[System]:
    """Start all services below `home`, and stop them afterwards."""
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
            yield System(platform, processes)
        finally:
            platform.stop()


def run_chaos(system: System, jobs: int, seed: int, log: Callable[[str], None]) -> tuple[Verdict, dict[str, Any]]:
    """Submit and kill, wait for all jobs, and judge the results. Returns the verdict and statistics."""
    ledger = open_ledger(system.platform.settings)
    chaos = Chaos(system.processes, lambda: busy_pids(ledger), log, random.Random(seed))
    kills = plan_kills({kind: max(1, round(jobs * rate / 100)) for kind, rate in KILLS.items()}, seed)
    submitters = make_clients(
        system.platform.url, jobs, lambda number: drawing(number, seed), kills, f"durability-{seed}"
    )

    def is_over() -> bool:
        return all_finished(all_jobs(ledger)) and not any(queue_depths(system, RENDER_QUEUES).values())

    statistics = run_with_kills(chaos, kills, submitters, is_over, timeout=FINISH_TIMEOUT)
    responses = submitters.responses
    for processes in (system.processes["worker"], system.processes["maintenance"]):
        for process in processes:
            process.stop()  # messages that were not acknowledged return to their queue
    sums = {job: hashlib.sha256(drawing(n, seed).content).hexdigest() for n, job in responses.jobs.items()}
    verdict = judge(ledger, system.platform.store, sums)
    verdict.violations += responses.errors
    remaining = queue_depths(system, [*RENDER_QUEUES, *(queue.name for queue in DEAD_QUEUES)])
    verdict.violations += [f"{count} messages remain in {queue}" for queue, count in remaining.items() if count]
    ledger.database.close()
    return verdict, {**statistics, "remaining_in_queues": sum(remaining.values())}


def busy_pids(ledger: Ledger) -> set[int]:
    """The process ids of the children that run a job."""
    running = ledger.jobs.page(limit=200, states=[State.RUNNING]).jobs
    return {int(job.lease_owner.split(":")[1]) for job in running if job.lease_owner}


def queue_depths(system: System, queues: Iterable[str]) -> dict[str, int]:
    """The depth of each queue: 0 if it does not exist, 1 for all while the broker is unavailable."""
    try:
        with Connection(system.platform.broker_url, connect_timeout=2) as connection:
            return {name: _depth(connection, name) for name in queues}
    except (OSError, *Connection(system.platform.broker_url).connection_errors):
        return dict.fromkeys(queues, 1)


def _depth(connection: Connection, queue: str) -> int:
    try:
        with connection.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).message_count)
    except NotFound:
        return 0


def main() -> int:
    """Run with the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ledger", choices=LEDGERS, default="sqlite")
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep logs, ledger and store, and print their directory")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # stops all services, like Ctrl-C
    log = make_logger()
    with scratch_directory(keep=arguments.keep, log=log) as home, running_system(home, arguments.ledger) as system:
        verdict, statistics = run_chaos(system, arguments.jobs, arguments.seed, log)
    return print_result(
        {"ledger": arguments.ledger, "seed": arguments.seed, **verdict.counts, **statistics}, verdict.violations
    )


if __name__ == "__main__":
    sys.exit(main())
