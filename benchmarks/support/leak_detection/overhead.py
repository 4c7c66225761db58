"""The overhead of each instrument: CPU time of a job with and without its observer, measured alternately.

CPU time is used because other work on the machine hardly changes it. The difference between a long and a short run,
divided by the difference in jobs, excludes the start of the process.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.support.services import ROOT
from leaks.instruments import load_instrument, survivors
from leaks.run import Run
from leaks.tagger import build_library
from leaks.target import Subject

TARGET = "benchmarks.support.leak_detection.jobs:work"
SHORT, LONG = 20, 80

_ALONE = f"""
import os, sys
from {TARGET.partition(":")[0]} import work
for number in range(int(sys.argv[1])):
    work()
    os.write(1, b"%d\\n" % number)
os._exit(0)
"""

Workload = Callable[[int], object]


def measure_overheads(home: Path, rounds: int, report: Callable[[str], None]) -> dict[str, list[float]]:
    """The ratio to the job alone, one per round."""
    preload = {"LD_PRELOAD": str(build_library(home))}

    def run(jobs: int) -> Run:
        return Run(Subject(TARGET, {}), jobs, home, home)

    workloads: dict[str, Workload] = {
        "gauge": lambda jobs: load_instrument("gauge")(run(jobs)),
        "survivors": lambda jobs: run(jobs).run_child("tagger", survivors.NAME, environment=preload),
        "survivors_stacks": lambda jobs: run(jobs).run_child("stacks", survivors.NAME, environment=preload),
        "memray": lambda jobs: _without_capture(home, run(jobs)),
    }
    ratios: dict[str, list[float]] = {name: [] for name in workloads}
    for number in range(rounds):
        alone = _cpu_seconds_per_job(_alone)
        for name, way in workloads.items():
            ratios[name].append(_cpu_seconds_per_job(way) / alone)
        last = {name: round(each[-1], 3) for name, each in ratios.items()}
        report(f"round {number + 1}: {1000 * alone:.1f} ms alone; {last}")
    return ratios


def _alone(jobs: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    argv = [sys.executable, "-c", _ALONE, str(jobs)]
    subprocess.run(argv, stdout=subprocess.DEVNULL, env=environment, check=True)


def _without_capture(home: Path, run: Run) -> None:
    (home / "memray.memray").unlink(missing_ok=True)
    run.run_child("memray", "memray")


def _cpu_seconds_per_job(workload: Workload) -> float:
    """CPU seconds of one more job."""
    return (_cpu_seconds(workload, LONG) - _cpu_seconds(workload, SHORT)) / (LONG - SHORT)


def _cpu_seconds(workload: Workload, jobs: int) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    workload(jobs)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
