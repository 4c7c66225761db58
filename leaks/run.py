"""Runs the child processes of a hunt, reads their progress, and kills them when their time is up."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from leaks.child import BAD_TARGET, DONE, Spec
from leaks.errors import BadTarget, TargetFailed
from leaks.measurements import Measurements, warm_up_jobs
from leaks.target import Subject

ROOT = Path(__file__).resolve().parent.parent

# Last lines of the child's log that an error quotes.
LOG_TAIL = 5

ProgressCallback = Callable[[str, int, int], None]  # phase, finished jobs, all jobs


def ignore_progress(_phase: str, _done: int, _jobs: int) -> None:
    """Do not report progress."""


@dataclass(frozen=True, slots=True)
class Run:
    """A hunt in progress. Its files are written to `out`, compiled libraries to `cache`.

    `timeout` is the time limit of each child in seconds.
    """

    subject: Subject
    jobs: int
    out: Path
    cache: Path
    timeout: float = 600
    on_progress: ProgressCallback = ignore_progress

    def run_child(
        self,
        observer: str,
        phase: str,
        *,
        jobs: int | None = None,
        command_prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Measurements:
        """Run the jobs in a child. `command_prefix` comes before Python on its command line, for example valgrind.

        Raises BadTarget, TargetFailed.
        """
        jobs = jobs or self.jobs
        spec = Spec(
            self.subject,
            jobs,
            warm_up_jobs(jobs),
            observer,
            str(self.output_path(observer, ".json")),
            str(self.output_path(observer)),
        )
        log = self.output_path(observer, ".log")
        argv = [*command_prefix, sys.executable, "-P", "-m", "leaks.child", spec.to_json()]
        with (
            log.open("wb") as output,
            TemporaryDirectory(prefix="bulkhead-hunt-", ignore_cleanup_errors=True) as scratch,
        ):
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                env=_environment(environment or {}, scratch),
                start_new_session=True,
            )
            last, timed_out = self._read_progress(process, phase, jobs)
        _raise_for_status(process.returncode, last, self.timeout if timed_out else None, log)
        return Measurements.read(Path(spec.measurements))

    def output_path(self, name: str, suffix: str = ".txt") -> Path:
        """The path of an output file of this hunt."""
        return self.out / f"{name}{suffix}"

    def _read_progress(self, process: subprocess.Popen[bytes], phase: str, jobs: int) -> tuple[str, bool]:
        """Read lines until the child exits. Returns the last one, and whether the child exceeded its time limit."""
        timed_out = threading.Event()

        def kill() -> None:
            timed_out.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(self.timeout, kill)
        timer.start()
        last = ""
        assert process.stdout is not None  # noqa: S101 -- a pipe, see Popen
        try:
            for line in process.stdout:
                last = line.decode(errors="replace").strip()
                if last.isdecimal():
                    self.on_progress(phase, int(last), jobs)
            process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            process.stdout.close()
        return last, timed_out.is_set()


def _environment(extra: Mapping[str, str], scratch: str) -> dict[str, str]:
    # Temporary files of killed jobs and leaked pixel caches on disk are deleted with the hunt.
    folders = {"TMPDIR": scratch, "MAGICK_TEMPORARY_PATH": scratch}
    path = os.pathsep.join([str(ROOT), str(Path.cwd())])
    # A fixed hash seed gives sets the same order in every run, so that hunts of the same job agree.
    return {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0", **folders, **extra}


def _raise_for_status(status: int, last: str, timeout: float | None, log: Path) -> None:
    """Raise the error that the exit status stands for."""
    if status == DONE:
        return
    if status == BAD_TARGET and not last.isdecimal():
        raise BadTarget(last)
    when = f"after job {last}" if last.isdecimal() else "before the first job was finished"
    if timeout is not None:
        raise TargetFailed(
            f"The time limit of {timeout:.0f} s was exceeded {when}. Use fewer jobs or a longer --limit."
        )
    if status > 0 and last and not last.isdecimal():
        raise TargetFailed(f"A job raised {last}. To hunt for leaks on its error path, add --errors.")
    tail = log.read_text(errors="replace").splitlines()[-LOG_TAIL:]
    died = signal.Signals(-status).name if status < 0 else f"exit code {status}"
    raise TargetFailed(" ".join([f"The process died with {died} {when}.", *tail, f"Its output: {log}"]))
