"""What watching costs: processor time of a job with its observer, alone and under each instrument, in turns.

Processor time, for other work on the machine leaves it alone. A long run less a short one leaves out what starting
costs; the difference in jobs divides it.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks._services import ROOT
from leaks.instruments import instrument, survivors
from leaks.run import Run
from leaks.tagger import build
from leaks.target import Subject

TARGET = "benchmarks._leaks_jobs:work"
SHORT, LONG = 20, 80

_ALONE = f"""
import os, sys
from {TARGET.partition(":")[0]} import work
for number in range(int(sys.argv[1])):
    work()
    os.write(1, b"%d\\n" % number)
os._exit(0)
"""

Way = Callable[[int], object]


def overheads(home: Path, rounds: int, tell: Callable[[str], None]) -> dict[str, list[float]]:
    """Ratios to the same job alone, one a round."""
    preload = {"LD_PRELOAD": str(build(home))}

    def run(jobs: int) -> Run:
        return Run(Subject(TARGET, {}), jobs, home, home)

    ways: dict[str, Way] = {
        "gauge": lambda jobs: instrument("gauge")(run(jobs)),
        "survivors": lambda jobs: run(jobs).child("tagger", survivors.NAME, environment=preload),
        "survivors_stacks": lambda jobs: run(jobs).child("stacks", survivors.NAME, environment=preload),
        "memray": lambda jobs: _without_capture(home, run(jobs)),
    }
    ratios: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        alone = _cost(_alone)
        for name, way in ways.items():
            ratios[name].append(_cost(way) / alone)
        last = {name: round(each[-1], 3) for name, each in ratios.items()}
        tell(f"round {number + 1}: {1000 * alone:.1f} ms alone; {last}")
    return ratios


def _alone(jobs: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    argv = [sys.executable, "-c", _ALONE, str(jobs)]
    subprocess.run(argv, stdout=subprocess.DEVNULL, env=environment, check=True)


def _without_capture(home: Path, run: Run) -> None:
    (home / "memray.memray").unlink(missing_ok=True)
    run.child("memray", "memray")


def _cost(way: Way) -> float:
    """Seconds of processor time that one more job takes."""
    return (_spent(way, LONG) - _spent(way, SHORT)) / (LONG - SHORT)


def _spent(way: Way, jobs: int) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    way(jobs)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
