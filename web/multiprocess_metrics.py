"""The directory in which the processes of one web server share their metrics. It is removed however they end."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp


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
        own = Path(mkdtemp(dir=parent))
        held = lock(own)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        os.close(held)


def remove_unused(path: Path) -> None:
    """Remove a directory unless it is locked."""
    with suppress(BlockingIOError, FileNotFoundError, NotADirectoryError), locked(path, fcntl.LOCK_NB):
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(path: Path, how: int = 0) -> Iterator[None]:
    """Hold a lock on a directory. With LOCK_NB, raises BlockingIOError instead of waiting."""
    held = lock(path, how)
    try:
        yield
    finally:
        os.close(held)


def lock(path: Path, how: int = 0) -> int:
    """Lock a directory. Closing the returned descriptor releases the lock."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
