"""Run one program as a fenced child: bounded in memory and time, heard while it works, explained when it dies.

    ending = run([sys.executable, "-m", "workers.render", ...], Fence(memory=512 * 1024**2, seconds=300), hear)

The memory bound is a cgroup's where one can be made, else a watch on the child's resident set. It is never RLIMIT_AS:
that bounds addresses, and libvips, OpenBLAS and thread stacks reserve gigabytes of those without touching them.
The child's own limits (core dumps, descriptors, death with its parent) are in `workers.sandbox.limits`.
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

from workers.crash.causes import Cause, Death, classify
from workers.sandbox.cgroup import ROOT
from workers.sandbox.leaf_cgroup import Cgroup, leaf_cgroup

# How often the child's clock and resident set are looked at (seconds). A fast hog touches some 100 MB in that time.
POLL_INTERVAL = 0.05

# A longer line is noise from native code, not a report (bytes).
MAX_LINE_BYTES = 64 * 1024

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may take: `memory` in bytes, `seconds` of wall-clock time."""

    memory: int
    time_limit: float


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """How a child ended. `status` is its exit code, or the negative number of the signal that ended it.

    `death` explains every status but 0; an exit code is a crash unless the child itself reported why it left.
    `resident` is its last known resident set and `peak` its largest, in bytes.
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
    """Run `argv` inside `fence`; `hear` gets each JSON object that it writes as a line on its standard output.

    Its standard error is thrown away if `quiet`. Nothing of it is left when this returns or raises.
    Raises OSError if it cannot be started.
    """
    began = time.monotonic()
    with leaf_cgroup(limits.memory, root=cgroup_root) as own:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if discard_stderr else None,
            env=environment,
        )
        try:
            admitted = own is not None and own.add(process.pid)
            watch = _Supervisor(process, limits, own if admitted else None, began + limits.time_limit)
            watch.wait(on_report)
            return watch.exit_info(time.monotonic() - began)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None  # noqa: S101 -- asked for above
            process.stdout.close()


@dataclass(slots=True)
class _Supervisor:
    """Looks at a running child until it is over."""

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
        assert pipe is not None  # noqa: S101 -- asked for by `run`
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
        if "VmRSS" in fields:  # a process that is being reaped has none
            self.resident = _parse_kibibytes(fields["VmRSS"])
            self.peak = max(self.peak, _parse_kibibytes(fields["VmHWM"]))

    def _death(self, status: int) -> Death | None:
        if status == 0:
            return None
        if self.exceeded_memory:
            return Death(Cause.OUT_OF_MEMORY, "It was stopped: its resident set grew beyond its fence.")
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
