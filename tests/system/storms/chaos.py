"""Kills processes at random and starts them again. The plan is a pure function of its seed."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import psutil

# Seconds between two kills, and before what ended is started again: any time from at once up to this.
LONGEST_CALM = 4.0
LONGEST_PAUSE = 2.0

# Seconds to wait for a child that is at work, to kill it there.
AIM = 3.0

# Seconds between two looks at the processes.
TICK = 0.05


class Victim(Protocol):
    """What can be killed and started again: a process of ours, or a unit of systemd's."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def describe_exit(self) -> str | None:
        """How it ended; None while it runs."""

    def start(self) -> None:
        """Start it again."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: of which kind, how many seconds after the one before, and the luck that picks among several."""

    kind: str
    after: float
    luck: float


def plan_kills(counts: Mapping[str, int], seed: int) -> list[Kill]:
    """So many kills of each kind, shuffled."""
    chance = random.Random(seed)
    kinds = [kind for kind, count in sorted(counts.items()) for _ in range(count)]
    chance.shuffle(kinds)
    return [Kill(kind, chance.uniform(0, LONGEST_CALM), chance.random()) for kind in kinds]


@dataclass
class Chaos:
    """Runs a plan against the processes of each kind; `child` kills a child of one of the `worker` processes: any, or
    one of those `at_work`, where it is told who they are and can have one.

    `tell` receives a line for each event. Use it in the main thread, as `Process` demands.
    """

    processes: Mapping[str, Sequence[Victim]]
    at_work: Callable[[], set[int]] | None
    tell: Callable[[str], None]
    chance: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    ended_alone: Counter[str] = field(default_factory=Counter)
    _restart_at: dict[str, float] = field(default_factory=dict)

    def run(self, plan: list[Kill]) -> None:
        """Carry out the plan; what is down at its end is starting."""
        for kill in plan:
            self.calm(kill.after)
            while not self._strike(kill):
                self.calm(TICK)

    def calm(self, seconds: float) -> None:
        """Kill nothing for so long, but start what is down."""
        until = time.monotonic() + seconds
        while True:
            self._look_after_all()
            remaining = until - time.monotonic()
            if remaining <= 0:
                return
            time.sleep(min(TICK, remaining))

    def _strike(self, kill: Kill) -> bool:
        """Kill a process of that kind; False if none could be had."""
        kind = "worker" if kill.kind == "child" else kill.kind
        up = [process for process in self.processes[kind] if process.describe_exit() is None]
        pids = self._aim(up) if kill.kind == "child" else [process.pid for process in up]
        if not pids:
            return False
        pid = pids[int(kill.luck * len(pids))]
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it ended by itself a moment ago
            return False
        self.killed[kill.kind] += 1
        self.tell(f"killed {kill.kind} {pid}")
        if kill.kind != "child":
            self._restart_later(next(process for process in up if process.pid == pid))
        return True

    def _aim(self, parents: list[Victim]) -> list[int]:
        """The children of these that are at work; all of them if none is for a while."""
        until = time.monotonic() + AIM
        while True:
            children = {child.pid for parent in parents for child in _children(parent)}
            busy = children & self.at_work() if self.at_work else children
            if busy or time.monotonic() >= until:
                return sorted(busy or children)
            self.calm(TICK)

    def _look_after_all(self) -> None:
        for kind, processes in self.processes.items():
            for process in processes:
                if process.describe_exit() is None:
                    continue
                if process.name not in self._restart_at:
                    self.ended_alone[kind] += 1
                    self.tell(f"{process.name} ended by itself: {process.describe_exit()}")
                    self._restart_later(process)
                elif time.monotonic() >= self._restart_at[process.name]:
                    del self._restart_at[process.name]
                    process.start()

    def _restart_later(self, process: Victim) -> None:
        self._restart_at[process.name] = time.monotonic() + self.chance.uniform(0, LONGEST_PAUSE)


def _children(process: Victim) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []
