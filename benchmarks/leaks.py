"""The smallest detectable leak, the overhead of each instrument, and its false alarms, compared with other tools.

    python -m benchmarks.leaks [--clean 300] [--rounds 3]

The last line of output is one JSON object: `table` (instrument -> jobs -> smallest leak in bytes per job that was found
three times out of three), `smallest_leak_bytes` (at 50 jobs, the worse of both), `*_overhead` (CPU time of a job with
its observer, relative to the job alone), `clean_hunts`, `false_alarms`, and hits, misses and false alarms of the peers
on the planted corpus.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.leak_detection.overhead import measure_overheads
from benchmarks.support.leak_detection.peer_tools import run_tools
from benchmarks.support.services import print_progress, print_result, scratch
from leaks.hunt import hunt
from leaks.target import Subject

SIZES = (1, 64, 1024, 65_536)
JOBS = (20, 30, 50)
TRIES = 3

CLEAN = ("tests.leaks.planted:clean", "tests.leaks.planted:ring_of_two", "tests.leaks.planted:small_cycles")
INSTRUMENTS = ("gauge", "survivors")


def main() -> None:
    """Run everything and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clean", type=int, default=300, help="clean hunts with each instrument (300)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of timing (3)")
    arguments = parser.parse_args()
    with scratch() as home:
        table = {name: {jobs: smallest_detectable_leak(name, jobs, home) for jobs in JOBS} for name in INSTRUMENTS}
        print_progress(f"smallest leaks: {table}")
        hunts, alarms = count_false_alarms(arguments.clean, home)
        times = measure_overheads(home, arguments.rounds, print_progress)
        others = run_tools(print_progress)
    sizes = [table[name][50] for name in INSTRUMENTS]
    print_result(
        {
            "table": table,
            "smallest_leak_bytes": None if None in sizes else max(size or 0 for size in sizes),
            **{f"{name}_overhead": round(median(ratios), 3) for name, ratios in times.items()},
            "clean_hunts": hunts,
            "false_alarms": alarms,
            "peers": others,
        }
    )


def smallest_detectable_leak(name: str, jobs: int, home: Path) -> int | None:
    """The smallest leak, in bytes per job, that is sizes each time; None if even the largest is missed."""
    for size in SIZES:
        subject = Subject(f"benchmarks.support.leak_detection.jobs:leak_{size}", {})
        if all(finds_leak(subject, name, jobs, home) for _ in range(TRIES)):
            return size
    return None


def count_false_alarms(count: int, home: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Hunts of clean jobs, and how many of them reported a fault, by instrument."""
    hunts, alarms = dict.fromkeys(INSTRUMENTS, count), dict.fromkeys(INSTRUMENTS, 0)
    for number in range(count):
        for name in INSTRUMENTS:
            alarms[name] += finds_leak(Subject(CLEAN[number % len(CLEAN)], {}), name, 30, home)
        if number % 50 == 49:
            print_progress(f"{number + 1} clean hunts with each: {alarms} false alarms")
    return hunts, alarms


def finds_leak(subject: Subject, name: str, jobs: int, home: Path) -> bool:
    """Whether a hunt reports a fault."""
    with tempfile.TemporaryDirectory(dir=home) as out:
        return hunt(subject, name, jobs=jobs, out=Path(out), cache=home).verdict.kind.is_fault


if __name__ == "__main__":
    main()
