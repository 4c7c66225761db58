"""The services and directories of a worker child, created on first use: none of them may cross a fork."""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from celery.utils.log import get_logger

from tasks import app
from tasks.jobs import Ledger, LedgerError, latest_attempts, open_ledger
from tasks.jobs.leak_detection import MAX_JOBS, Confidence, find_leaks, residues
from tasks.messaging.progress import ProgressPublisher
from tasks.renders import ENGINE_VERSION
from tasks.settings import Settings, settings
from tasks.storage import Store, StoreError, open_store
from tasks.utils.files import remove_tree, temporary_directory
from tasks.utils.units import MIB
from workers.crash import flight_recorder
from workers.runtime.resumable_dirs import remove_stale_dirs, resumable_dir
from workers.sandbox.process_identity import current_owner, is_gone

logger = get_logger(__name__)

FOLDER = "work"

# Bytes. Native code reports a full disk in many ways; a disk with less free space than one picture needs is full.
MIN_FREE_BYTES = 16 * MIB

# A system call may fail with these although bytes are free: no inode, or the quota of this user is used up.
DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})

# Jobs between two queries of a child for suspected leaks: one query takes some milliseconds.
REFRESH_EVERY = 50


class NoSpace(StoreError):
    """The disk of this worker's directory is full: free some of it, or set BULKHEAD_VAR to a larger one."""

    code = "no-space"


class LeakDetector:
    """The formats of drawings that leak, as one child knows them."""

    def __init__(self) -> None:
        self._jobs = 0
        self._suspected_formats: frozenset[str] = frozenset()

    def suspected_formats(self, ledger: Ledger) -> frozenset[str]:
        """Suspected formats of drawings as of the last query of the ledger. Logs each finding of a new query."""
        if self._jobs % REFRESH_EVERY == 0:
            try:
                findings = find_leaks(residues(latest_attempts(ledger.database, MAX_JOBS)))
            except LedgerError:
                return self._suspected_formats
            suspected = [finding for finding in findings if finding.is_suspected and finding.engine == ENGINE_VERSION]
            for finding in suspected:
                log = logger.error if finding.confidence is Confidence.CERTAIN else logger.warning
                log(finding.summary)
            self._suspected_formats = frozenset(finding.format for finding in suspected)
        self._jobs += 1
        return self._suspected_formats


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """Ledger, store and progress publisher of one child, and its name as an owner of leases."""

    settings: Settings
    ledger: Ledger
    store: Store
    progress_publisher: ProgressPublisher
    lease_owner: str
    leak_detector: LeakDetector = field(default_factory=LeakDetector)

    @contextmanager
    def work_dir(self) -> Iterator[Path]:
        """An empty directory for one job. Its name contains its owner, so that maintenance can remove it.

        Raises NoSpace instead of any error of the block if the disk is full.
        """
        root = self._root()
        with _translate_disk_full(root), self.scratch_dir() as folder, _translate_disk_full(root):
            yield folder

    @contextmanager
    def scratch_dir(self) -> Iterator[Path]:
        """An empty directory for work besides the job. Errors of the block are not translated."""
        prefix = f"{self.lease_owner}."
        with temporary_directory(self._root(), prefix) as folder:
            yield folder

    @contextmanager
    def resumable_work_dir(self, key: str) -> Iterator[Path]:
        """A directory for long work named `key`, with the files of a killed attempt at the same work.

        If another child does the same work at the moment, an empty directory as from `work_dir`. Raises NoSpace alike.
        """
        root = self._root()
        with (
            _translate_disk_full(root),
            resumable_dir(root, key) as path,
            nullcontext(path) if path else self.scratch_dir() as folder,
            _translate_disk_full(root),  # inside as well: the outer one runs when the files have been removed
        ):
            yield folder

    def create_temp_dir(self) -> Path:
        """A directory for other temporary files of this child, such as drawings that are read from S3."""
        return Path(tempfile.mkdtemp(prefix=f"{self.lease_owner}.", dir=self._root()))

    def _root(self) -> Path:
        root = self.settings.var / FOLDER
        root.mkdir(parents=True, exist_ok=True)
        return root

    def remove_stale_files(self) -> None:
        """Remove files of killed children of this host: directories, flight records, and old resumable directories."""
        flight_recorder.remove_stale_records(self.settings.var)
        remove_stale_dirs(self.settings.var / FOLDER)
        with suppress(FileNotFoundError):
            for folder in (self.settings.var / FOLDER).iterdir():
                if is_gone(folder.name.rpartition(".")[0]):
                    remove_tree(folder)


@contextmanager
def _translate_disk_full(root: Path) -> Iterator[None]:
    """Translate full-disk errors to `NoSpace`: encoders report them as damage, and they are not the job's fault."""
    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) in DISK_FULL_ERRNOS or shutil.disk_usage(root).free < MIN_FREE_BYTES:
            raise NoSpace from error
        raise


@cache
def worker_context() -> WorkerContext:
    """The context of this process. Never call it in a parent that forks."""
    current = settings()
    return WorkerContext(
        current, open_ledger(current), open_store(current.store_url), ProgressPublisher(app), current_owner()
    )
