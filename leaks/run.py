"""The child processes of a hunt: started, heard, bounded in time, and gone when this is done with them."""

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
from leaks.samples import Samples, warm_up_jobs
from leaks.target import Subject

ROOT = Path(__file__).resolve().parent.parent

# Lines of the child's own words that an error quotes.
LOG_TAIL = 5

ProgressCallback = Callable[[str, int, int], None]  # what is under way, jobs done, of how many


def ignore_progress(_phase: str, _done: int, _jobs: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Run:
    """A hunt under way: of whom, how often, where files go (`out`), where what is compiled is kept (`cache`).

    `limit` bounds each child, in seconds.
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
    ) -> Samples:
        """Run the jobs in a child. `before` is what comes before Python on its command line, a valgrind say.

        Raises BadTarget, JobBroke.
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
            log.open("wb") as noise,
            TemporaryDirectory(prefix="bulkhead-hunt-", ignore_cleanup_errors=True) as scratch,
        ):
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=noise,
                env=_environment(environment or {}, scratch),
                start_new_session=True,
            )
            last, late = self._read_progress(process, phase, jobs)
        _raise_for_status(process.returncode, last, self.timeout if late else None, log)
        return Samples.read(Path(spec.samples))

    def output_path(self, name: str, suffix: str = ".txt") -> Path:
        """A file of this hunt."""
        return self.out / f"{name}{suffix}"

    def _read_progress(self, process: subprocess.Popen[bytes], phase: str, jobs: int) -> tuple[str, bool]:
        """Hear the child out; its last words, and whether its time ran out."""
        late = threading.Event()

        def end() -> None:
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        clock = threading.Timer(self.timeout, end)
        clock.start()
        last = ""
        assert process.stdout is not None  # noqa: S101 -- asked for above
        try:
            for line in process.stdout:
                last = line.decode(errors="replace").strip()
                if last.isdecimal():
                    self.on_progress(phase, int(last), jobs)
            process.wait()
        finally:
            clock.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            process.stdout.close()
        return last, late.is_set()


def _environment(more: Mapping[str, str], scratch: str) -> dict[str, str]:
    # Temporary files of jobs that are killed, or that lose pixel caches on disk, go with the hunt.
    own = {"TMPDIR": scratch, "MAGICK_TEMPORARY_PATH": scratch}
    path = os.pathsep.join([str(ROOT), str(Path.cwd())])
    # The same order of sets in every run: two hunts of the same job read the same numbers.
    return {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0", **own, **more}


def _raise_for_status(status: int, last: str, timeout: float | None, log: Path) -> None:
    """Raises what `status` means."""
    if status == DONE:
        return
    if status == BAD_TARGET and not last.isdecimal():
        raise BadTarget(last)
    after = f"after job {last}" if last.isdecimal() else "before its first job was over"
    if timeout is not None:
        raise TargetFailed(f"Time ran out {after}: {timeout:.0f} s. Take fewer jobs, or a longer --limit.")
    if status > 0 and last and not last.isdecimal():
        raise TargetFailed(f"A job raised {last}. If its error path is what you hunt, add --errors.")
    tail = log.read_text(errors="replace").splitlines()[-LOG_TAIL:]
    died = signal.Signals(-status).name if status < 0 else f"exit code {status}"
    raise TargetFailed(" ".join([f"The hunted process died of {died} {after}.", *tail, f"All it said: {log}"]))
