"""Bombs, hangs and kills under a real systemd: each costs a worker child, never a good job, never a neighbour.

    python -m tests.system.storms.crashes --jobs 1000 --seed 1

As root. Installs our units in a private systemd, with three render workers of 512 MiB over a RabbitMQ and a MariaDB of
its own. Of the drawings that are sent over HTTP a tenth explode at random stages and a twentieth hang; meanwhile
children, parents, the broker and the ledger are killed. Once all is settled it reads ledger, store and units, and
prints what it counted; the last line of output is one JSON object. Exit code 1 if any promise was broken.
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
from tests.system.storms.chaos_run import SETTINGS, clients, conclude, drawing, pass_over, scratch, teller
from tests.system.storms.clients import Drawing
from tests.system.storms.crash_verdict import Sentence, pronounce
from tests.system.storms.faulty_engine import BOMB, HANG, svg_saying
from tests.system.storms.verdict import every_job, is_settled

WORKERS = tuple(f"bulkhead-render@{number}" for number in (1, 2, 3))
OTHERS = ("bulkhead-web", "bulkhead-maintenance", "bulkhead-scheduler")

# Of a hundred jobs.
BOMBS, HANGS = 10, 5

# Kills a hundred jobs, by what is killed. `child` is a rendering child, `worker` its parent.
KILLS = {"child": 20, "worker": 2, "broker": 0.3, "ledger": 0.1}

# Seconds that everything may take to settle after the last kill, and a silence that systemd acts on: shorter than the
# broker's absence, which must not count as one.
PATIENCE = 1200.0
WATCHDOG = 10


class Worker:
    """A unit whose parent process can be killed; systemd starts it again."""

    def __init__(self, units: Units, unit: str) -> None:
        self.name = unit
        self._units = units
        self._parent = psutil.Process(units.systemd.main_pid(unit))

    @property
    def pid(self) -> int:
        """The parent's process id."""
        return self._parent.pid

    def describe_exit(self) -> str | None:
        """None while there is a parent."""
        with suppress(psutil.NoSuchProcess):
            if self._parent.is_running() and self._parent.status() != psutil.STATUS_ZOMBIE:
                return None
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            self._parent = psutil.Process(self._units.systemd.main_pid(self.name))
            return None
        return "systemd starts it again"

    def start(self) -> None:
        """Nothing: that is systemd's task."""


@dataclass(frozen=True, slots=True)
class House:
    """The platform under test, and what may be killed of it."""

    units: Units
    victims: Mapping[str, list[Victim]]


@contextmanager
def built(home: Path, *, time_limit: float) -> Iterator[House]:
    """Everything started, below `home`, and ended afterwards."""
    node = prepare_rabbitmq(home / "rabbitmq")
    (home / "mariadb").mkdir()
    database = MariaDb(home / "mariadb")
    with Supervisor([*node.stages, (database.program,)], home / "log") as services:
        platform = Platform(home / "platform", node.url, database.fresh_database())
        settings = {**SETTINGS, "BULKHEAD_RENDER_TIME_LIMIT": f"{time_limit:g}"}
        worker = with_option("bulkhead-render@", "--include faulty_engine") + f"WatchdogSec={WATCHDOG}\n"
        with running_units(home / "host", platform, settings=settings, drop_ins={"bulkhead-render@": worker}) as units:
            units.start(*OTHERS, *WORKERS)
            workers = [Worker(units, unit) for unit in WORKERS]
            broker, ledger = services.process("rabbitmq"), services.process("mariadb")
            yield House(units, {"worker": [*workers], "broker": [broker], "ledger": [ledger]})


def kinds(jobs: int, seed: int) -> list[str]:
    """What each drawing does: `bomb`, `hang`, or nothing (``)."""
    bombs, hangs = jobs * BOMBS // 100, jobs * HANGS // 100
    found = [BOMB] * bombs + [HANG] * hangs + [""] * (jobs - bombs - hangs)
    random.Random(seed).shuffle(found)
    return found


def sheet(number: int, kind: str, seed: int) -> Drawing:
    """The drawing of that number, no two alike."""
    if not kind:
        return drawing(number, seed)
    unique = seed * 1_000_000 + number
    content = svg_saying(drawings.svg(unique), kind, random.Random(unique).randrange(90))
    return Drawing(number, f"sheet {number}.svg", content, 256)


def storm(house: House, jobs: int, seed: int, tell: Callable[[str], None]) -> Sentence:
    """Submit, kill, wait until all is settled, judge."""
    asked = kinds(jobs, seed)
    ledger = open_ledger(house.units.platform.settings)
    # Any child, not those at work first: a hang is at work longest, so nearly every kill would fall on the same few.
    chaos = Chaos(house.victims, None, tell, random.Random(seed))
    kills = plan_kills({kind: max(1, round(jobs * rate / 100)) for kind, rate in KILLS.items()}, seed)
    sending = clients(
        house.units.platform.url, jobs, lambda number: sheet(number, asked[number], seed), kills, f"fences-{seed}"
    )
    done = pass_over(chaos, kills, sending, lambda: _settled(ledger), patience=PATIENCE)
    promised = {job: asked[number] for number, job in sending.promises.jobs.items()}
    sentence = pronounce(ledger, house.units.platform.store, promised)
    ledger.database.close()
    restarts = sum(int(house.units.systemd.show(unit, "NRestarts")) for unit in WORKERS)
    sentence.counts |= {**done, "parents_restarted": restarts}
    sentence.broken += sending.promises.faults
    if restarts != chaos.killed["worker"]:
        sentence.broken.append(f"{chaos.killed['worker']} parents were killed, {restarts} had to be restarted")
        sentence.broken += _ends_of_parents(house.units)
    return sentence


def _ends_of_parents(units: Units) -> list[str]:
    """What systemd says about each."""
    said = (units.systemd.journal(unit, lines=100_000).splitlines() for unit in WORKERS)
    return [line for lines in said for line in lines if "Main process exited" in line or "Watchdog" in line]


def _settled(ledger: Ledger) -> bool:
    try:
        return is_settled(every_job(ledger))
    except LedgerUnavailable:
        return False


def main() -> int:
    """Run the storm that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time-limit", type=float, default=2, help="seconds; a busy machine needs more for good jobs")
    parser.add_argument("--keep", action="store_true", help="keep logs, ledger and store, and say where they are")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started, as Ctrl-C does
    tell = teller()
    try:
        with scratch(keep=asked.keep, tell=tell) as home, built(home, time_limit=asked.time_limit) as house:
            sentence = storm(house, asked.jobs, asked.seed, tell)
    except NotInstalled as error:
        print(error, file=sys.stderr)
        return 3
    return conclude({"seed": asked.seed, **sentence.counts}, sentence.broken)


if __name__ == "__main__":
    sys.exit(main())
