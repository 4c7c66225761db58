"""The directory in which the processes of one web server share their metrics. It is removed however they end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from tasks.utils.files import acquire_lock, locked


@contextmanager
def shared_directory(parent: Path) -> Iterator[Path]:
    """Create a directory below `parent`, and remove it at the end of the block. Raises OSError.

    A process holds a lock on its directory, which the kernel releases when the process ends. Unlocked directories were
    left by killed processes and are removed.
    """
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(parent):  # so that no other process finds the new directory before it is locked
        for path in parent.iterdir():
            remove_unused(path)
        directory = Path(mkdtemp(dir=parent))
        lock = acquire_lock(directory)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def remove_unused(path: Path) -> None:
    """Remove a directory unless it is locked."""
    with suppress(OSError), locked(path, wait=False):
        shutil.rmtree(path, ignore_errors=True)
