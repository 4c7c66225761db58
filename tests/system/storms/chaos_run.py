"""Shared by the chaos tests: submit drawings over HTTP while processes are killed, wait for the results, print them."""

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

# Short intervals, so that recovery takes seconds instead of minutes, and frequent recycling of children.
SETTINGS = {
    "BULKHEAD_LEASE": "4",
    "BULKHEAD_REPUBLISH_AFTER": "5",
    "BULKHEAD_MAINTENANCE_INTERVAL": "1",
    "BULKHEAD_MAX_JOBS_PER_CHILD": "20",
}

CLIENTS = 6

# Seconds without activity after which a run is over: longer than a worker needs for a duplicate message.
QUIET_PERIOD = 3.0


def drawing(number: int, seed: int) -> Drawing:
    """The drawing with this number. Formats alternate, and sizes differ."""
    unique = seed * 1_000_000 + number
    width = random.Random(unique).choice((128, 256, 512, 1024))
    kind, content = (
        ("dxf", drawings.dxf(unique)),
        ("svg", drawings.svg(unique)),
        ("tiff", drawings.tiff(unique, 512)),
        ("png", drawings.png(unique, 512)),
    )[number % 4]
    return Drawing(number, f"sheet {number}.{kind}", content, width)


def make_clients(url: str, jobs: int, make: Callable[[int], Drawing], kills: Sequence[Kill], name: str) -> Clients:
    """Clients that submit `jobs` drawings during the kills."""
    return Clients(url, jobs, make, name=name, threads=CLIENTS, interval=sum(kill.after for kill in kills) / jobs)


def run_with_kills(
    chaos: Chaos, kills: list[Kill], clients: Clients, is_over: Callable[[], bool], *, timeout: float
) -> dict[str, Any]:
    """Submit and kill, then wait at most `timeout` seconds until it is over. Returns statistics."""
    started_at = time.monotonic()
    try:
        clients.start()
        chaos.run(kills)
        killed_at = quiet_since = time.monotonic()
        chaos.log(f"all kills are done after {killed_at - started_at:.0f} s")
        while time.monotonic() - quiet_since < QUIET_PERIOD and time.monotonic() - killed_at < timeout:
            if clients.is_busy or not is_over():
                quiet_since = time.monotonic()
            chaos.wait(0.5)
    finally:
        clients.stop()
    return {
        "killed": dict(chaos.killed),
        "ended_unexpectedly": dict(chaos.ended_unexpectedly),
        "answers": dict(clients.responses.statuses),
        "repeated": clients.responses.repeated,
        "kill_seconds": round(killed_at - started_at, 1),
        "finished_after_seconds": round(quiet_since - killed_at, 1),
    }


@contextmanager
def scratch_directory(*, keep: bool, log: Callable[[str], None]) -> Iterator[Path]:
    """A temporary directory for a run; it is removed afterwards unless `keep` is set."""
    home = Path(tempfile.mkdtemp(prefix="bulkhead-chaos-"))
    home.chmod(0o755)  # MariaDB's user needs access
    try:
        yield home
    finally:
        if keep:
            log(f"logs, ledger and store are in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)


def make_logger() -> Callable[[str], None]:
    """A function that prints lines with the elapsed seconds to standard error; standard output is for the result."""
    started = time.monotonic()

    def log(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", file=sys.stderr, flush=True)

    return log


def print_result(result: Mapping[str, Any], violations: Sequence[str]) -> int:
    """Print the result as a table, the violations, and all as one JSON object. Returns the exit code."""
    output = {**result, "violations": len(violations)}
    for name, value in output.items():
        print(f"{name:28} {value}")
    for violation in violations:
        print(f"VIOLATION: {violation}")
    print(json.dumps(output))
    return 1 if violations else 0
