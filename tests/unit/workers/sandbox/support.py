"""Runs the bodies of tests in a real sandbox."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from workers.sandbox.causes import Death
from workers.sandbox.reports import Progress
from workers.sandbox.runner import Outcome, SandboxJob, run
from workers.sandbox.watch import Limits
from workers.sandbox.zygote import Zygote, ZygoteOptions

BODIES = "tests.unit.workers.sandbox.bodies"
OPTIONS = ZygoteOptions(preload=(BODIES,))

MIB = 1024**2
LIMITS = Limits(memory=256 * MIB, cpu=30, idle=30, wall=60)


@dataclass
class Sandbox:
    """A zygote and a working directory. `progress` is what the last body reported."""

    zygote: Zygote
    work: Path
    progress: list[Progress] = field(default_factory=list)

    def run(
        self,
        body: str,
        arguments: Mapping[str, Any] | None = None,
        limits: Limits = LIMITS,
        *,
        command: tuple[str, ...] = (),
        sources: tuple[Path, ...] = (),
        niceness: int = 0,
        on_progress: Callable[[Progress], None] | None = None,
        uses_cgroup: bool = True,
    ) -> Outcome:
        """Run one of the bodies, or a command."""
        self.progress.clear()
        job = SandboxJob(f"{BODIES}:{body}", arguments or {}, self.work, sources, command, niceness)
        report = on_progress or self.progress.append
        return run(self.zygote, job, limits, on_progress=report, uses_cgroup=uses_cgroup)

    def death(self, body: str, arguments: Mapping[str, Any] | None = None, limits: Limits = LIMITS) -> Death:
        """Run a body that dies."""
        death = self.run(body, arguments, limits).exit_info.death
        assert death is not None
        return death


def wait_until(condition: Callable[[], object], timeout: float = 5.0) -> None:
    """Wait until a condition holds. Fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition does not become true"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
