"""What the sandbox costs: time a render, renders a second, memory at rest, recovery, and leaks that it contains.

    python -m benchmarks.sandbox [--rounds 100] [--kills 100] [--stock-kills 30]

Renders small drawings in the sandbox, in this process, and starts a bare Python in turn, so that the load of the
machine is the same for all. The renders a second are those of one worker without its queue, beside a warm process that
renders one drawing after the other, as workers did before. Starts its own RabbitMQ; takes about ten minutes. The last
line of output is one JSON object: `added_ms_*` is what the sandbox adds to a render, `added_vs_python_*` the same in
starts of `python -c pass`; `zygote_mb` and `worker_idle_mb` (a whole worker after its first jobs) are proportional set
sizes; `leak_growth_mb` is what 2,000 jobs that leak 1 MB each leave behind.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from benchmarks import recovery
from benchmarks.peers import BROKER_URL
from benchmarks.support import drawings, leaking_body
from benchmarks.support.services import print_progress, print_result, running_broker, running_platform, scratch
from tasks.plan import Plan, plan
from tasks.renders import RenderOptions
from tasks.utils.units import MIB
from tests.integration.jobs.renders import Renders, drawing
from workers.render import render
from workers.render.sandboxed import ZYGOTE, RenderRequest, render_sandboxed
from workers.sandbox.runner import Outcome, SandboxJob, run
from workers.sandbox.watch import Limits
from workers.sandbox.zygote import Zygote

LIMITS = Limits(memory=512 * MIB, cpu=300)
OPTIONS = RenderOptions(width=512)
DIGEST = "0" * 64

# Lines of a drawing that takes about 100 ms in a warm process, and renders in a turn of the throughput.
LINES_OF_100_MS = 700
TURN = 10

LEAKING_JOBS = 2000
LEAKED_BYTES = 1_000_000

# Seconds until a worker is at rest: its spare process has ended.
REST = 65.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A drawing that is rendered again and again."""

    source: Path
    plan: Plan


class Rig:
    """Renders the same drawings in the sandbox and in this process, each into a directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.zygote = Zygote(replace(ZYGOTE, preload=(*ZYGOTE.preload, leaking_body.__name__)))
        self.zygote.start()

    def sample(self, name: str, content: bytes) -> Sample:
        source = self.home / name
        source.write_bytes(content)
        return Sample(source, plan(source))

    def sandboxed(self, sample: Sample) -> float:
        """Seconds of a render in the sandbox."""
        request = RenderRequest(sample.source, OPTIONS, sample.plan, DIGEST)
        return self._timed(lambda work: render_sandboxed(self._run, request, work))

    def in_process(self, sample: Sample) -> float:
        """Seconds of the same render in this process."""
        return self._timed(lambda work: render(sample.source, work, OPTIONS, plan=sample.plan, sha256=DIGEST))

    def leak(self) -> None:
        """Run a job that leaks."""
        work = self.home / uuid4().hex
        work.mkdir()
        self._run(SandboxJob(f"{leaking_body.__name__}:leak", {"bytes": LEAKED_BYTES}, work)).value()
        shutil.rmtree(work)

    def _run(self, job: SandboxJob) -> Outcome:
        return run(self.zygote, job, LIMITS)

    def _timed(self, action: Callable[[Path], object]) -> float:
        work = self.home / uuid4().hex
        work.mkdir()
        started = time.perf_counter()
        action(work)
        seconds = time.perf_counter() - started
        shutil.rmtree(work)
        return seconds


def python_start() -> float:
    """Seconds of `python -c pass`."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - started


def measure_added(rig: Rig, rounds: int) -> dict[str, float]:
    """What the sandbox adds to a render of each family, in milliseconds and in starts of Python."""
    samples = [
        rig.sample("small.svg", drawings.svg(1)),
        rig.sample("small.dxf", drawing(20)),
        rig.sample("small.pdf", drawings.pdf(1)),
    ]
    added: list[float] = []
    starts: list[float] = []
    for number in range(rounds + 3):
        for sample in samples:
            difference, start = rig.sandboxed(sample) - rig.in_process(sample), python_start()
            if number >= 3:  # the first renders load libraries in this process
                added.append(difference)
                starts.append(start)
    python = statistics.median(starts)
    cuts = statistics.quantiles(added, n=100, method="inclusive")
    return {
        "added_ms_p50": round(1000 * cuts[49], 1),
        "added_ms_p99": round(1000 * cuts[98], 1),
        "python_ms": round(1000 * python, 1),
        "added_vs_python_p50": round(cuts[49] / python, 2),
        "added_vs_python_p99": round(cuts[98] / python, 2),
    }


def measure_throughput(rig: Rig, rounds: int) -> dict[str, float]:
    """Renders a second of drawings that take about 100 ms, in the sandbox and in a warm process."""
    sample = rig.sample("hundred.dxf", drawing(LINES_OF_100_MS))
    command = [sys.executable, "-m", "benchmarks.support.render_process", str(sample.source)]
    seconds = {"sandbox": 0.0, "process": 0.0}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def in_warm_process() -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            started = time.perf_counter()
            print(OPTIONS.model_dump_json(), file=process.stdin, flush=True)
            json.loads(process.stdout.readline())
            return time.perf_counter() - started

        in_warm_process()
        rig.sandboxed(sample)
        for _ in range(rounds):
            seconds["sandbox"] += sum(rig.sandboxed(sample) for _ in range(TURN))
            seconds["process"] += sum(in_warm_process() for _ in range(TURN))
        process.stdin.close() if process.stdin else None
    renders = rounds * TURN
    return {
        "renders_per_second": round(renders / seconds["sandbox"], 2),
        "renders_per_second_before": round(renders / seconds["process"], 2),
        "renders_per_second_ratio": round(seconds["process"] / seconds["sandbox"], 3),
    }


def measure_leaks(rig: Rig) -> dict[str, float]:
    """Growth of the zygote and of this process over jobs that leak, in megabytes."""
    pids = [psutil.Process().pid, rig.zygote.pid or 0]
    for _ in range(50):  # until caches are full
        rig.leak()
    before = sum(map(anonymous_mb, pids))
    for _ in range(LEAKING_JOBS):
        rig.leak()
    return {"leak_growth_mb": round(sum(map(anonymous_mb, pids)) - before, 2), "zygote_mb": round(pss_mb(pids[1]), 1)}


def measure_idle_worker(home: Path, broker_url: str) -> dict[str, float]:
    """Memory of a whole worker at rest, after renders of each family."""
    with running_platform(home, broker_url) as platform:
        worker = platform.start_worker()
        jobs = Renders(platform)
        for content in (drawing(20), drawings.svg(1), drawings.pdf(1)):
            message = jobs.make()
            jobs.store.put(message.source, content)
            jobs.accept(message)
            jobs.publish(message)
            jobs.finished(message.job)
        jobs.close()
        time.sleep(REST)
        processes = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
        return {"worker_idle_mb": round(sum(pss_mb(process.pid) for process in processes), 1)}


def pss_mb(pid: int) -> float:
    """The proportional set size of a process, in megabytes."""
    return _field(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")


def anonymous_mb(pid: int) -> float:
    """Resident memory of a process that no file backs, in megabytes."""
    return _field(Path(f"/proc/{pid}/status"), "RssAnon:")


def _field(path: Path, name: str) -> float:
    line = next(line for line in path.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e6


def measure_recovery(home: Path, broker_url: str, kills: int, stock_kills: int) -> dict[str, float]:
    """The time from a kill to the next attempt, as in `benchmarks.recovery`."""
    os.environ[BROKER_URL] = broker_url
    with running_platform(home, broker_url):
        ours, stock = recovery.measure_both(home, kills, stock_kills)
    figures = {**recovery.percentiles_ms(ours, "recovery_"), **recovery.percentiles_ms(stock, "recovery_stock_")}
    return {**figures, "recovery_vs_stock_p99": round(figures["recovery_p99_ms"] / figures["recovery_stock_p99_ms"], 4)}


def main() -> None:
    """Run everything and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100, help="renders of each family (100)")
    parser.add_argument("--kills", type=int, default=100, help="kills of our renders (100)")
    parser.add_argument("--stock-kills", type=int, default=30, help="kills of stock Celery's children (30)")
    arguments = parser.parse_args()
    result: dict[str, float] = {}
    with scratch() as home:
        rig = Rig(home)
        print_progress("time a render ...")
        result |= measure_added(rig, arguments.rounds)
        print_progress("renders a second ...")
        result |= measure_throughput(rig, max(1, arguments.rounds // TURN))
        print_progress("leaks ...")
        result |= measure_leaks(rig)
        rig.zygote.close()
        print_progress("a worker at rest ...")
        with running_broker(home) as broker_url:
            result |= measure_idle_worker(home / "idle", broker_url)
            print_progress("recovery ...")
            result |= measure_recovery(home, broker_url, arguments.kills, arguments.stock_kills)
    print_result(result)


if __name__ == "__main__":
    main()
