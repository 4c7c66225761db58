"""What every storm does: submit drawings over HTTP while processes are killed, wait until all is settled, and tell."""

import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.support import drawings
from tests.system.storms.chaos import Chaos, Kill
from tests.system.storms.clients import Clients, Drawing

# Impatient, so that what takes minutes in a plant takes seconds here; and children are replaced all the time.
SETTINGS = {
    "BULKHEAD_LEASE": "4",
    "BULKHEAD_REPUBLISH_AFTER": "5",
    "BULKHEAD_MAINTENANCE_INTERVAL": "1",
    "BULKHEAD_MAX_JOBS_PER_CHILD": "20",
}

CLIENTS = 6

# Seconds for which all must be settled: longer than a message that was sent twice is in a worker's hands.
QUIET = 3.0


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


def clients(url: str, jobs: int, make: Callable[[int], Drawing], kills: Sequence[Kill], name: str) -> Clients:
    """Clients that submit so many drawings while the kills are done."""
    return Clients(url, jobs, make, name=name, threads=CLIENTS, interval=sum(kill.after for kill in kills) / jobs)


def pass_over(
    chaos: Chaos, kills: list[Kill], clients: Clients, is_over: Callable[[], bool], *, patience: float
) -> dict[str, Any]:
    """Submit and kill, then wait `patience` seconds at most until it is over. Returns what was done."""
    began = time.monotonic()
    try:
        clients.start()
        chaos.run(kills)
        calm = quiet_since = time.monotonic()
        chaos.tell(f"the storm is over after {calm - began:.0f} s")
        while time.monotonic() - quiet_since < QUIET and time.monotonic() - calm < patience:
            if clients.busy or not is_over():
                quiet_since = time.monotonic()
            chaos.calm(0.5)
    finally:
        clients.stop()
    return {
        "killed": dict(chaos.killed),
        "ended_alone": dict(chaos.ended_alone),
        "answers": dict(clients.promises.statuses),
        "sent_again": clients.promises.repeated,
        "storm_seconds": round(calm - began, 1),
        "settled_after_seconds": round(quiet_since - calm, 1),
    }


@contextmanager
def scratch(*, keep: bool, tell: Callable[[str], None]) -> Iterator[Path]:
    """A directory for the length of a storm, or longer."""
    home = Path(tempfile.mkdtemp(prefix="bulkhead-storm-"))
    home.chmod(0o755)  # MariaDB's user must be able to pass
    try:
        yield home
    finally:
        if keep:
            tell(f"everything is kept in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)


def teller() -> Callable[[str], None]:
    """Says things to the person who watches, with the seconds since it was made; standard output is the result's."""
    started = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", file=sys.stderr, flush=True)

    return tell


def conclude(result: Mapping[str, Any], broken: Sequence[str]) -> int:
    """Print the result as a table, the promises that were broken, and all as one JSON object; answers the exit code."""
    shown = {**result, "broken": len(broken)}
    for name, value in shown.items():
        print(f"{name:28} {value}")
    for promise in broken:
        print(f"BROKEN: {promise}")
    print(json.dumps(shown))
    return 1 if broken else 0
