"""What a worker child works with. Made in the child on first use: nothing here may cross a fork."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tasks import app
from tasks.ledger import Ledger, open_ledger
from tasks.progress import ProgressTeller
from tasks.settings import Settings, settings
from tasks.store import Store, open_store
from workers.fence.holder import is_gone, me
from workers.fence.kept import kept, sweep

FOLDER = "work"


@dataclass(frozen=True, slots=True)
class Bench:
    """Ledger, store and progress of one child, and its name as a holder of leases."""

    settings: Settings
    ledger: Ledger
    store: Store
    teller: ProgressTeller
    holder: str

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty directory for the length of a job. Its name tells whose it is, so that it can be swept."""
        root = self.settings.var / FOLDER
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{self.holder}.", dir=root, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    @contextmanager
    def kept_folder(self, key: str) -> Iterator[Path]:
        """A directory for a long job at what `key` names: a killed attempt's work is still in it.

        While another child is at the same, an empty one as `folder` gives it.
        """
        with kept(self.settings.var / FOLDER, key) as path:
            if path is not None:
                yield path
            else:
                with self.folder() as fresh:
                    yield fresh

    def sweep(self) -> None:
        """Remove the directories of children of this host that were killed, and kept ones that grew old."""
        sweep(self.settings.var / FOLDER)
        with suppress(FileNotFoundError):
            for folder in (self.settings.var / FOLDER).iterdir():
                if is_gone(folder.name.rpartition(".")[0]):
                    shutil.rmtree(folder, ignore_errors=True)


@cache
def bench() -> Bench:
    """This process's bench. Never call it in a parent that forks."""
    chosen = settings()
    return Bench(chosen, open_ledger(chosen), open_store(chosen.store_url), ProgressTeller(app), me())
