"""Kills processes at random and restarts them. The plan is a pure function of its seed."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import psutil

# Maximum seconds between two kills, and before an ended process is restarted.
MAX_INTERVAL = 4.0
MAX_RESTART_DELAY = 2.0

# Seconds to wait for a child that runs a job.
BUSY_CHILD_TIMEOUT = 3.0

# Seconds between two checks of the processes.
POLL_INTERVAL = 0.05


class Victim(Protocol):
    """A process or systemd unit that can be killed and restarted."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def describe_exit(self) -> str | None:
        """How it ended; None while it runs."""

    def start(self) -> None:
        """Restart it."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: its kind, the seconds after the previous one, and a random number that chooses the process."""

    kind: str
    after: float
    choice: float


def plan_kills(counts: Mapping[str, int], seed: int) -> list[Kill]:
    """The given number of kills of each kind, shuffled."""
    rng = random.Random(seed)
    kinds = [kind for kind, count in sorted(counts.items()) for _ in range(count)]
    rng.shuffle(kinds)
    return [Kill(kind, rng.uniform(0, MAX_INTERVAL), rng.random()) for kind in kinds]


@dataclass
class Chaos:
    """Runs a plan against the processes of each kind. `child` kills a process below a `worker` process (its child, its
    zygote or a render), preferably one of `busy_pids()` if that is given. Kinds of `disturbances` are called instead.

    `log` is called with a line per event. Use it in the main thread, which `Process` requires.
    """

    processes: Mapping[str, Sequence[Victim]]
    busy_pids: Callable[[], set[int]] | None
    log: Callable[[str], None]
    rng: random.Random
    disturbances: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)
    ended_unexpectedly: Counter[str] = field(default_factory=Counter)
    _restart_at: dict[str, float] = field(default_factory=dict)

    def run(self, plan: list[Kill]) -> None:
        """Carry out the plan. Processes that are down at its end are being restarted."""
        for kill in plan:
            self.wait(kill.after)
            if kill.kind in self.disturbances:
                self.log(f"disturbance: {kill.kind}")
                self.disturbances[kill.kind]()
                continue
            while not self._kill(kill):
                self.wait(POLL_INTERVAL)

    def wait(self, seconds: float) -> None:
        """Wait without kills, but restart ended processes."""
        until = time.monotonic() + seconds
        while True:
            self._restart_ended()
            remaining = until - time.monotonic()
            if remaining <= 0:
                return
            time.sleep(min(POLL_INTERVAL, remaining))

    def _kill(self, kill: Kill) -> bool:
        """Kill a process of that kind. Returns False if there is none."""
        kind = "worker" if kill.kind == "child" else kill.kind
        running = [process for process in self.processes[kind] if process.describe_exit() is None]
        pids = self._choose_children(running) if kill.kind == "child" else [process.pid for process in running]
        if not pids:
            return False
        pid = pids[int(kill.choice * len(pids))]
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it ended by itself meanwhile
            return False
        self.killed[kill.kind] += 1
        self.log(f"killed {kill.kind} {pid}")
        if kill.kind != "child":
            self._restart_later(next(process for process in running if process.pid == pid))
        return True

    def _choose_children(self, parents: list[Victim]) -> list[int]:
        """The processes that run a job; all if none does for BUSY_CHILD_TIMEOUT."""
        until = time.monotonic() + BUSY_CHILD_TIMEOUT
        while True:
            children = {child.pid for parent in parents for child in _children(parent)}
            busy = children & self.busy_pids() if self.busy_pids else children
            if busy or time.monotonic() >= until:
                return sorted(busy or children)
            self.wait(POLL_INTERVAL)

    def _restart_ended(self) -> None:
        for kind, processes in self.processes.items():
            for process in processes:
                if process.describe_exit() is None:
                    continue
                if process.name not in self._restart_at:
                    self.ended_unexpectedly[kind] += 1
                    self.log(f"{process.name} ended unexpectedly: {process.describe_exit()}")
                    self._restart_later(process)
                elif time.monotonic() >= self._restart_at[process.name]:
                    del self._restart_at[process.name]
                    process.start()

    def _restart_later(self, process: Victim) -> None:
        self._restart_at[process.name] = time.monotonic() + self.rng.uniform(0, MAX_RESTART_DELAY)


def _children(process: Victim) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
