"""`python -m leaks.child SPEC`: runs the jobs of a hunt in a separate process. SPEC is a `Spec` as JSON.

It writes its measurements to `Spec.measurements`, and the number of each finished job as a line on standard output.
Exit code 0: done, 1: a job raised an exception, 2: the target is wrong; the last line of output is then the reason.
"""

import gc
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leaks.errors import BadTarget
from leaks.measurements import Measurements, Series
from leaks.observers import Observer, create_observer
from leaks.probes import DISK, MAP, MEMORY, Probes
from leaks.target import Job, Subject, resolve_job

DONE, JOB_FAILED, BAD_TARGET = 0, 1, 2

_SERIES_NAMES = ("live", "resident", "descriptors", "memory", "map", "disk", "python", "waiting", "nanoseconds")


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run. `observer` names an observer of `leaks.observers`, which writes to the file `findings`."""

    subject: Subject
    jobs: int
    warm_up: int
    observer: str
    measurements: str
    findings: str

    def to_json(self) -> str:
        """The argument of the child's command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Spec":
        """The inverse of `to_json`."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "subject": Subject(**values["subject"])})


class JobLoop:
    """Runs the jobs one after the other and reads the probes after each."""

    def __init__(self, spec: Spec, job: Job, observer: Observer, progress_descriptor: int) -> None:
        self._spec = spec
        self._job = job
        self._observer = observer
        self._progress_descriptor = progress_descriptor
        self._probes = Probes()
        self._series = {name: Series(spec.jobs) for name in _SERIES_NAMES}
        self._failures = 0

    def run(self) -> Measurements:
        """Run all jobs. Exceptions of a job are raised, unless the hunt is for leaks on error paths."""
        spec = self._spec
        for number in range(1, spec.jobs + 1):
            self._run_job(number)
            os.write(self._progress_descriptor, b"%d\n" % number)
            if number == spec.warm_up:
                gc.collect()
                gc.freeze()  # so that the collector spends no time on it after each job
                self._observer.after_warm_up()
        measurements = Measurements(spec.jobs, spec.warm_up, failures=self._failures)
        for name, series in self._series.items():
            setattr(measurements, name, series.first(spec.jobs))
        measurements.kept_bytes, measurements.kept_blocks = self._observer.survivors(spec.jobs)
        self._observer.finish(self._job)
        measurements.trimmed = self._probes.trim()
        return measurements

    def _run_job(self, number: int) -> None:
        self._observer.before_job(number)
        started = time.perf_counter_ns()
        try:
            self._job()
        except Exception:
            if not self._spec.subject.errors:
                raise
            self._failures += 1
        duration = time.perf_counter_ns() - started
        self._observer.after_job()
        self._read_probes(number - 1, duration)

    def _read_probes(self, index: int, duration: int) -> None:
        series, probes = self._series, self._probes
        heap = self._observer.heap or probes.heap_bytes
        before = heap()
        probes.collect_garbage()
        series["live"][index] = live = heap()
        series["waiting"][index] = max(0, before - live)
        series["python"][index] = probes.python_blocks()
        series["resident"][index] = probes.resident_bytes()
        series["descriptors"][index] = probes.open_descriptors()
        series["memory"][index] = probes.pixel_cache_bytes(MEMORY)
        series["map"][index] = probes.pixel_cache_bytes(MAP)
        series["disk"][index] = probes.pixel_cache_bytes(DISK)
        series["nanoseconds"][index] = duration


def main(text: str) -> int:
    """Run the jobs of the hunt. Returns the exit code."""
    os.environ.pop("LD_PRELOAD", None)  # the tagger must not be loaded into programs that jobs start
    spec = Spec.from_json(text)
    reports = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a job may print to standard output
    try:
        job = resolve_job(spec.subject)
    except BadTarget as error:
        os.write(reports, f"{error}\n".encode())
        return BAD_TARGET
    try:
        measurements = JobLoop(spec, job, create_observer(spec.observer, spec.jobs, Path(spec.findings)), reports).run()
    except Exception as error:  # noqa: BLE001 -- a job may raise anything
        os.write(reports, f"{type(error).__name__}: {error}\n".encode())
        return JOB_FAILED
    measurements.write(Path(spec.measurements))
    return DONE


if __name__ == "__main__":
    status = main(sys.argv[1])
    sys.stderr.flush()
    os._exit(status)  # memory freed at exit must not count as freed by jobs
