"""No-ops per second of each peer: a full queue, one worker, and one byte in a pipe for every no-op."""

import importlib
import os
import select
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.peers import TICKS, Peer
from cli.embedded.process import Process, Program

MODULES = ("own", "stock", "with_dramatiq", "with_huey", "with_rq")

# Seconds until the first no-op must have run, of the warm-up, and of the measurement.
START_TIMEOUT = 60.0
WARM_UP = 0.7
WINDOW = 3.0

# No-ops in the queue. The fastest peer may finish them before the end of the window.
FILL = 6000


def measure_throughput(
    home: Path, rounds: int, environment: Mapping[str, str], report: Callable[[str], None]
) -> dict[str, float]:
    """No-ops per second by peer: medians of interleaved rounds."""
    peers: list[Peer] = [importlib.import_module(f"benchmarks.peers.{name}").PEER for name in MODULES]
    rates: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for number in range(rounds):
        for peer in peers[number % len(peers) :] + peers[: number % len(peers)]:
            rate = _measure(peer, home, environment)
            rates[peer.name].append(rate)
            report(f"round {number + 1}: {peer.name} {rate:,.0f}/s")
    return {name: statistics.median(measured) for name, measured in rates.items()}


def _measure(peer: Peer, home: Path, environment: Mapping[str, str]) -> float:
    peer.fill(FILL)
    pipe = home / "ticks"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    program = Program(
        name=peer.name,
        command=(sys.executable, *peer.command),
        is_ready=lambda: True,
        environment={**environment, TICKS: str(pipe)},
        directory=home,
    )
    worker = Process(program, home / "log")
    worker.start()
    try:
        return _rate(_read_ticks(reader))
    finally:
        worker.kill()
        os.close(reader)
        pipe.unlink()
        peer.clear()


def _read_ticks(reader: int) -> list[tuple[float, int]]:
    """Times and counts of finished no-ops, until all are finished or the window is over."""
    seen: list[tuple[float, int]] = []
    count, deadline = 0, time.monotonic() + START_TIMEOUT
    while count < FILL and time.monotonic() < deadline:
        if not select.select([reader], [], [], 0.05)[0]:
            continue
        read = len(os.read(reader, 65536))
        now = time.monotonic()
        if read == 0:  # the worker has not opened the pipe yet
            time.sleep(0.01)
            continue
        if not seen:
            deadline = now + WARM_UP + WINDOW
        count += read
        seen.append((now, count))
    return seen


def _rate(seen: list[tuple[float, int]]) -> float:
    """No-ops per second after the warm-up."""
    if not seen:
        raise RuntimeError(f"The worker did not run a no-op within {START_TIMEOUT:g} s. See its log.")
    begin = next((tick for tick in seen if tick[0] - seen[0][0] >= WARM_UP), seen[len(seen) // 2])
    return (seen[-1][1] - begin[1]) / (seen[-1][0] - begin[0])
