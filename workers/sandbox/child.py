"""Run a program in a child process with limits on memory and time, read its reports and explain its end.

    limits = Limits(memory=512 * 1024**2, time_limit=300)
    exit_info = run([sys.executable, "-m", "workers.render", ...], limits, on_report)

A cgroup enforces the memory limit where one can be created; elsewhere this process polls the resident set of the
child. RLIMIT_AS is not an option: it limits addresses, and libvips, OpenBLAS and thread stacks reserve gigabytes of
those without touching them. `workers.sandbox.limits` has the limits that a child sets for itself.
"""

import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.sandbox.causes import Cause, Death, classify
from workers.sandbox.cgroup import ROOT
from workers.sandbox.leaf_cgroup import Cgroup, leaf_cgroup

# Seconds between two checks of the child's time and resident set. A fast child touches about 100 MiB in between.
POLL_INTERVAL = 0.05

# Bytes. A longer line is output of native code, not a report.
MAX_LINE_BYTES = 64 * 1024

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a child: `memory` in bytes, `time_limit` in seconds of wall-clock time."""

    memory: int
    time_limit: float


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """How a child ended. `status` is its exit code, or the negative number of the signal that ended it.

    `death` explains every status but 0; an exit code is a crash unless the child reported an error before it exited.
    `resident` is the last known resident set and `peak` the largest, in bytes.
    """

    status: int
    death: Death | None
    seconds: float
    resident: int
    peak: int


def run(
    argv: Sequence[str],
    limits: Limits,
    on_report: Callable[[Report], None],
    *,
    environment: Mapping[str, str] | None = None,
    discard_stderr: bool = True,
    cgroup_root: Path = ROOT,
) -> ExitInfo:
    """Run `argv` within `limits` and call `on_report` with each JSON object that it prints as a line.

    `discard_stderr` drops its standard error. The process is gone when this returns or raises.
    Raises OSError if it cannot be started.
    """
    started_at = time.monotonic()
    with leaf_cgroup(limits.memory, root=cgroup_root) as cgroup:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if discard_stderr else None,
            env=environment,
        )
        try:
            is_member = cgroup is not None and cgroup.add(process.pid)
            supervisor = _Supervisor(process, limits, cgroup if is_member else None, started_at + limits.time_limit)
            supervisor.wait(on_report)
            return supervisor.exit_info(time.monotonic() - started_at)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None  # noqa: S101 -- opened above
            process.stdout.close()


@dataclass(slots=True)
class _Supervisor:
    """Watches a running child until it ends."""

    process: subprocess.Popen[bytes]
    limits: Limits
    cgroup: Cgroup | None
    deadline: float
    resident: int = 0
    peak: int = 0
    exceeded_memory: bool = False
    timed_out: bool = False
    _partial_line: bytes = field(default=b"")

    def wait(self, on_report: Callable[[Report], None]) -> None:
        pipe = self.process.stdout
        assert pipe is not None  # noqa: S101 -- opened by `run`
        os.set_blocking(pipe.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while not self._has_ended():
                if not selector.get_map():
                    time.sleep(POLL_INTERVAL)
                elif selector.select(POLL_INTERVAL):
                    received = os.read(pipe.fileno(), MAX_LINE_BYTES)
                    if not received:
                        selector.unregister(pipe)
                    for report in self._parse_reports(received):
                        on_report(report)
        for report in self._parse_reports(pipe.read() or b""):
            on_report(report)

    def exit_info(self, seconds: float) -> ExitInfo:
        status = self.process.returncode
        return ExitInfo(status, self._death(status), seconds, self.resident, self.peak)

    def _has_ended(self) -> bool:
        if self.process.poll() is not None:
            return True
        self._measure()
        self.timed_out = time.monotonic() > self.deadline
        self.exceeded_memory = self.cgroup is None and self.resident > self.limits.memory
        if self.timed_out or self.exceeded_memory:
            self.process.kill()
            self.process.wait()
            return True
        return False

    def _measure(self) -> None:
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return
        fields = dict(line.split(":", 1) for line in status.splitlines())
        if "VmRSS" in fields:  # missing while the process is being reaped
            self.resident = _parse_kibibytes(fields["VmRSS"])
            self.peak = max(self.peak, _parse_kibibytes(fields["VmHWM"]))

    def _death(self, status: int) -> Death | None:
        if status == 0:
            return None
        if self.exceeded_memory:
            return Death(Cause.OUT_OF_MEMORY, "It was stopped because its resident set exceeded the memory limit.")
        kills = self.cgroup.oom_kills() if self.cgroup is not None else 0
        return classify(status, oom_kills=kills, time_limit=self.limits.time_limit if self.timed_out else None)

    def _parse_reports(self, received: bytes) -> Iterator[Report]:
        *lines, self._partial_line = (self._partial_line + received).split(b"\n")
        if len(self._partial_line) > MAX_LINE_BYTES:
            self._partial_line = b""
        for line in lines:
            try:
                report = json.loads(line)
            except ValueError:
                continue
            if isinstance(report, dict):
                yield report


def _parse_kibibytes(field: str) -> int:
    return int(field.split()[0]) * 1024
