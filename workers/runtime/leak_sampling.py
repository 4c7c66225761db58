"""The leak watch of a worker child: it hears what jobs left lately, and runs some of a suspected kind under memray.

    with tracked(bench, job) as is_tracked:
        ...                                  # the work, and its end in the ledger

The report, memray's flame graph of what was not freed, lands in the store below `leaks/`.
"""

import importlib.util
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from celery.utils.log import get_logger

from tasks.jobs import Job, Ledger, LedgerUnavailable, lately
from tasks.jobs.leak_detection import LATEST, REPORTS, Sureness, judge, leftovers
from tasks.renders import ENGINE_VERSION
from tasks.storage import StoreError

if TYPE_CHECKING:
    from workers.runtime.context import Bench

logger = get_logger(__name__)

# Jobs after which a child asks the ledger anew: the answer takes it some milliseconds.
REFRESH = 50

# Reports kept of one kind of drawing and engine: more would tell nothing new. Who wants others removes them.
MOST_REPORTS = 10

# Seconds that writing a report may take; two are usual.
PATIENCE = 60.0


class LeakWatch:
    """What one child knows of leaks."""

    def __init__(self) -> None:
        self._jobs = 0
        self._suspects: frozenset[str] = frozenset()

    def suspects(self, ledger: Ledger) -> frozenset[str]:
        """Formats of drawings that are suspected, as of the last time that the ledger was asked. Logs them."""
        if self._jobs % REFRESH == 0:
            try:
                findings = judge(leftovers(lately(ledger.database, LATEST)))
            except LedgerUnavailable:
                return self._suspects
            found = [one for one in findings if one.is_suspect and one.engine == ENGINE_VERSION]
            for one in found:
                (logger.error if one.sureness is Sureness.CERTAIN else logger.warning)(one.sentence)
            self._suspects = frozenset(one.format for one in found)
        self._jobs += 1
        return self._suspects


def picks(job: str, every: int) -> bool:
    """Whether this job is one in `every`; none if that is 0."""
    return every > 0 and zlib.crc32(job.encode()) % every == 0


@contextmanager
def tracked(bench: "Bench", job: Job) -> Iterator[bool]:
    """Run the block under memray if the job's kind is suspected and this one is picked; answers whether it does."""
    kind = (job.plan or {}).get("format", "unknown")
    suspects = bench.watch.suspects(bench.ledger)
    if kind not in suspects or not picks(job.id, bench.settings.leak_tracked) or not _is_wanted(bench, kind):
        yield False
        return
    import memray

    with bench.scratch() as folder:
        capture = folder / "job.memray"
        aggregated = memray.FileFormat.AGGREGATED_ALLOCATIONS  # small; a killed job leaves none, and needs none
        with memray.Tracker(capture, native_traces=True, file_format=aggregated):
            yield True
        _report(bench, capture, f"{_folder(kind)}/{job.id}.html")


def _is_wanted(bench: "Bench", kind: str) -> bool:
    if importlib.util.find_spec("memray") is None:
        logger.warning("A job of %s should run under memray, which is missing: pip install 'bulkhead[leaks]'.", kind)
        return False
    try:
        return sum(1 for _ in bench.store.list(_folder(kind))) < MOST_REPORTS
    except StoreError as error:
        logger.warning("No job is tracked, for its report could not be stored. %s", error)
        return False


def _folder(kind: str) -> str:
    return f"{REPORTS}/{kind}/{ENGINE_VERSION}"


def _report(bench: "Bench", capture: Path, key: str) -> None:
    """Whatever goes wrong here is no matter of the job's, which is settled."""
    html = capture.with_suffix(".html")
    argv = [sys.executable, "-m", "memray", "flamegraph", "--leaks", "--force", "--output", str(html), str(capture)]
    try:
        subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=True)
        with html.open("rb") as file:
            bench.store.put(key, file)
    except (OSError, subprocess.SubprocessError, StoreError) as error:
        logger.warning("The report of a tracked job is lost: %s", error)
    else:
        logger.warning("What a tracked job did not free is in the store: %s", key)
