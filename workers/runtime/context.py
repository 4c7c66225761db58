"""What a worker child works with. Made in the child on first use: nothing here may cross a fork."""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tasks import app
from tasks.jobs import Ledger, open_ledger
from tasks.messaging.progress import ProgressPublisher
from tasks.settings import Settings, settings
from tasks.storage import Store, StoreError, open_store
from tasks.utils.units import MIB
from workers.crash import flight_recorder
from workers.runtime.leak_sampling import LeakDetector
from workers.runtime.lease_owner import current_owner, is_gone
from workers.runtime.resumable_dirs import remove_stale_dirs, resumable_dir

FOLDER = "work"

# Bytes. What native code says about a full disk has many words; a disk with less room than one picture takes is full.
MIN_FREE_BYTES = 16 * MIB

# What a system call says about it: there may be room for bytes, but none for another file or for this user.
DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})


class NoSpace(StoreError):
    """The disk of this worker's directory is full: free some of it, or set BULKHEAD_VAR to a larger one."""

    cause = "no-space"

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """Ledger, store and progress of one child, and its name as a holder of leases."""

    settings: Settings
    ledger: Ledger
    store: Store
    progress_publisher: ProgressPublisher
    lease_owner: str
    leak_detector: LeakDetector = field(default_factory=LeakDetector)

    @contextmanager
    def work_dir(self) -> Iterator[Path]:
        """An empty directory for the length of a job. Its name tells whose it is, so that it can be swept.

        Raises NoSpace, whatever went wrong in the block, when its disk is full.
        """
        root = self._root()
        with _translate_disk_full(root), self.scratch_dir() as folder, _translate_disk_full(root):
            yield folder

    @contextmanager
    def scratch_dir(self) -> Iterator[Path]:
        """The same for what is not the job's own work: what goes wrong in the block stays as it is."""
        prefix = f"{self.lease_owner}."
        with tempfile.TemporaryDirectory(prefix=prefix, dir=self._root(), ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    @contextmanager
    def resumable_work_dir(self, key: str) -> Iterator[Path]:
        """A directory for a long job at what `key` names: a killed attempt's work is still in it.

        While another child is at the same, an empty one as `folder` gives it. Raises NoSpace like that one.
        """
        root = self._root()
        with (
            _translate_disk_full(root),
            resumable_dir(root, key) as path,
            nullcontext(path) if path else self.scratch_dir() as folder,
            _translate_disk_full(root),  # again, for what lies in the folder is gone before the first one looks
        ):
            yield folder

    def create_temp_dir(self) -> Path:
        """A directory for all else that this child puts aside, such as a bucket's drawing while it is read."""
        return Path(tempfile.mkdtemp(prefix=f"{self.lease_owner}.", dir=self._root()))

    def _root(self) -> Path:
        root = self.settings.var / FOLDER
        root.mkdir(parents=True, exist_ok=True)
        return root

    def remove_stale_files(self) -> None:
        """Remove what children of this host left that were killed: directories, records; kept ones that grew old."""
        flight_recorder.remove_stale_records(self.settings.var)
        remove_stale_dirs(self.settings.var / FOLDER)
        with suppress(FileNotFoundError):
            for folder in (self.settings.var / FOLDER).iterdir():
                if is_gone(folder.name.rpartition(".")[0]):
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _translate_disk_full(root: Path) -> Iterator[None]:
    """A full disk is no fault of the job that met it, and looks like damage to those that write pictures."""
    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) in DISK_FULL_ERRNOS or shutil.disk_usage(root).free < MIN_FREE_BYTES:
            raise NoSpace from error
        raise


@cache
def worker_context() -> WorkerContext:
    """This process's bench. Never call it in a parent that forks."""
    chosen = settings()
    return WorkerContext(
        chosen, open_ledger(chosen), open_store(chosen.store_url), ProgressPublisher(app), current_owner()
    )
