"""Bombs, hangs, full disks and kills under a real systemd: they end renders, but no good job fails.

    python -m tests.system.storms.crashes --jobs 1000 --seed 1

Needs root. Installs our units in a private systemd: three render workers of 512 MiB, with their own RabbitMQ and
MariaDB. Of the drawings submitted over HTTP, a tenth exceed the memory limit at random stages, a twentieth hang, and
some fill the disk. Meanwhile renders, zygotes, children, parents, the broker and the ledger are killed, the host is
frozen for a minute, and busy loops take the processors for another. When all jobs have finished it checks ledger, store
and units and prints statistics; the last line of output is one JSON object. Exit code 1 if there is a violation.
"""

import argparse
import random
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.support import drawings
from cli.embedded.process import NotInstalled
from cli.embedded.rabbitmq import prepare_rabbitmq
from cli.embedded.supervisor import Supervisor
from tasks.jobs import Ledger, LedgerUnavailable, open_ledger
from tests.services.mariadb import MariaDb
from tests.services.platform import Platform
from tests.services.units import Units, running_units, with_option
from tests.system.storms.chaos import Chaos, Victim, plan_kills
from tests.system.storms.chaos_run import (
    SETTINGS,
    drawing,
    make_clients,
    make_logger,
    print_result,
    run_with_kills,
    scratch_directory,
)
from tests.system.storms.clients import Drawing
from tests.system.storms.crash_verdict import CrashVerdict, judge_crashes
from tests.system.storms.disturbances import freeze, load
from tests.system.storms.faulty_engine import BOMB, FILL, HANG, svg_with_fault
from tests.system.storms.verdict import all_finished, all_jobs

WORKERS = tuple(f"bulkhead-render@{number}" for number in (1, 2, 3))
OTHERS = ("bulkhead-web", "bulkhead-maintenance", "bulkhead-scheduler")

# Percentages of the jobs.
SHARES = {BOMB: 10, HANG: 5, FILL: 5}

# Kills per hundred jobs. `child` is a process below a worker's parent, `worker` that parent.
KILLS = {"child": 20, "worker": 2, "broker": 0.3, "ledger": 0.1}

# Seconds of each disturbance, of which each run has one: the host is frozen, and busy loops take its processors.
DISTURBANCE = 60.0

# Seconds without progress after which a render hangs, and bytes that it may write.
LIMITS = {"BULKHEAD_RENDER_IDLE_LIMIT": "3", "BULKHEAD_RENDER_DISK_LIMIT": str(128 * 1024**2)}

# Seconds: until all jobs have finished after the last kill, and of the watchdog, which is shorter than an outage of the
# broker, because an outage must not trigger it.
FINISH_TIMEOUT = 1200.0
WATCHDOG = 10


class Worker:
    """A unit whose parent process can be killed; systemd restarts it."""

    def __init__(self, units: Units, unit: str) -> None:
        self.name = unit
        self._units = units
        self._parent = psutil.Process(units.systemd.main_pid(unit))

    @property
    def pid(self) -> int:
        """The parent's process id."""
        return self._parent.pid

    def describe_exit(self) -> str | None:
        """None while the parent runs."""
        with suppress(psutil.NoSuchProcess):
            if self._parent.is_running() and self._parent.status() != psutil.STATUS_ZOMBIE:
                return None
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            self._parent = psutil.Process(self._units.systemd.main_pid(self.name))
            return None
        return "systemd is restarting it"

    def start(self) -> None:
        """Does nothing, because systemd restarts the unit."""


@dataclass(frozen=True, slots=True)
class System:
    """The system under test, and its processes that may be killed."""

    units: Units
    victims: Mapping[str, list[Victim]]


@contextmanager
def running_system(home: Path, *, time_limit: float) -> Iterator[System]:
    """Start all services below `home`, and stop them afterwards."""
    node = prepare_rabbitmq(home / "rabbitmq")
    (home / "mariadb").mkdir()
    database = MariaDb(home / "mariadb")
    with Supervisor([*node.stages, (database.program,)], home / "log") as services:
        platform = Platform(home / "platform", node.url, database.fresh_database())
        settings = {**SETTINGS, **LIMITS, "BULKHEAD_RENDER_TIME_LIMIT": f"{time_limit:g}"}
        worker = with_option("bulkhead-render@", "--include faulty_engine") + f"WatchdogSec={WATCHDOG}\n"
        with running_units(home / "host", platform, settings=settings, drop_ins={"bulkhead-render@": worker}) as units:
            units.start(*OTHERS, *WORKERS)
            workers = [Worker(units, unit) for unit in WORKERS]
            broker, ledger = services.process("rabbitmq"), services.process("mariadb")
            yield System(units, {"worker": [*workers], "broker": [broker], "ledger": [ledger]})


def choose_faults(jobs: int, seed: int) -> list[str]:
    """The fault of each drawing, as in SHARES, or none (empty)."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(jobs * share // 100)]
    kinds += [""] * (jobs - len(kinds))
    random.Random(seed).shuffle(kinds)
    return kinds


def make_drawing(number: int, kind: str, seed: int) -> Drawing:
    """The drawing with this number; no two are equal."""
    if not kind:
        return drawing(number, seed)
    unique = seed * 1_000_000 + number
    content = svg_with_fault(drawings.svg(unique), kind, random.Random(unique).randrange(90))
    return Drawing(number, f"sheet {number}.svg", content, 256)


def run_chaos(
    system: System, jobs: int, seed: int, log: Callable[[str], None], *, disturbance: float = DISTURBANCE
) -> CrashVerdict:
    """Submit, kill and disturb, wait for all jobs, and judge the results. `disturbance` in seconds."""
    faults = choose_faults(jobs, seed)
    ledger = open_ledger(system.units.platform.settings)
    disturbances = {
        "freeze": lambda: freeze(system.units.systemd.pid, disturbance),
        "load": lambda: load(disturbance),
    }
    # Any process, not only busy ones: hanging renders are busy longest, so that they would receive almost all kills.
    chaos = Chaos(system.victims, None, log, random.Random(seed), disturbances)
    counts = {kind: max(1, round(jobs * rate / 100)) for kind, rate in KILLS.items()}
    kills = plan_kills({**counts, **dict.fromkeys(disturbances, 1)}, seed)
    submitters = make_clients(
        system.units.platform.url,
        jobs,
        lambda number: make_drawing(number, faults[number], seed),
        kills,
        f"crashes-{seed}",
    )
    statistics = run_with_kills(chaos, kills, submitters, lambda: _all_finished(ledger), timeout=FINISH_TIMEOUT)
    accepted = {job: faults[number] for number, job in submitters.responses.jobs.items()}
    verdict = judge_crashes(ledger, system.units.platform.store, accepted)
    ledger.database.close()
    restarts = sum(int(system.units.systemd.show(unit, "NRestarts")) for unit in WORKERS)
    verdict.counts |= {**statistics, "parents_restarted": restarts}
    verdict.violations += submitters.responses.errors
    if restarts != chaos.killed["worker"]:
        verdict.violations.append(f"{chaos.killed['worker']} parents were killed, but {restarts} were restarted")
        verdict.violations += _exits_of_parents(system.units)
    return verdict


def _exits_of_parents(units: Units) -> list[str]:
    """Lines of the journal about each exit of a parent."""
    journals = (units.systemd.journal(unit, lines=100_000).splitlines() for unit in WORKERS)
    return [line for lines in journals for line in lines if "Main process exited" in line or "Watchdog" in line]


def _all_finished(ledger: Ledger) -> bool:
    try:
        return all_finished(all_jobs(ledger))
    except LedgerUnavailable:
        return False


def main() -> int:
    """Run with the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time-limit", type=float, default=6, help="time limit in seconds of processor time")
    parser.add_argument("--keep", action="store_true", help="keep logs, ledger and store, and print their directory")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # stops all services, like Ctrl-C
    log = make_logger()
    try:
        with (
            scratch_directory(keep=arguments.keep, log=log) as home,
            running_system(home, time_limit=arguments.time_limit) as system,
        ):
            verdict = run_chaos(system, arguments.jobs, arguments.seed, log)
    except NotInstalled as error:
        print(error, file=sys.stderr)
        return 3
    return print_result({"seed": arguments.seed, **verdict.counts}, verdict.violations)


if __name__ == "__main__":
    sys.exit(main())
