"""A store in a local directory.

Every path is walked from the root by directory descriptors with O_NOFOLLOW, so that no symbolic link, wherever
it comes from, leads out. New objects are written under `.tmp` in the same file system and renamed into place.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from tasks.storage.errors import NotFound, StoreError, translate_os_error
from tasks.storage.keys import check_key
from tasks.storage.staging import CHUNK_BYTES, Writer, copy_stream
from tasks.utils.group_commit import GroupCommit

TEMPORARY_DIRECTORY = ".tmp"  # no key can name it: parts never start with a dot
DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalStore:
    """Objects are files, artifacts are directories, both appear by rename."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._temporary = self._root / TEMPORARY_DIRECTORY
        self._directory_sync = GroupCommit(fsync_directories)
        try:
            self._temporary.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(
                f"The store's directory {root} cannot be made ({error.strerror}): "
                "set BULKHEAD_STORE_URL to a directory that this user may write."
            ) from error

    def __repr__(self) -> str:
        return f"LocalStore({str(self._root)!r})"

    def writer(self, key: str) -> Writer:
        check_key(key)
        return Writer(key, self._temporary, lambda path: self._move_file(path, key))

    def put(self, key: str, data: bytes | BinaryIO) -> str:
        with self.writer(key) as writer:
            writer.write(data) if isinstance(data, bytes) else copy_stream(data, writer)
        return writer.digest

    def open_read(self, key: str) -> BinaryIO:
        with self._parent(key) as (directory, name):
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            return os.fdopen(descriptor, "rb")
        except IsADirectoryError as error:
            os.close(descriptor)
            raise NotFound(key) from error

    @contextmanager
    def as_file(self, key: str) -> Iterator[Path]:
        self.open_read(key).close()  # proves that it is there and that no link is on the way
        yield self._root / key

    def fetch(self, key: str, path: Path) -> None:
        with self.open_read(key) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)

    def exists(self, key: str) -> bool:
        try:
            self.open_read(key).close()
        except NotFound:
            return False
        return True

    def size(self, key: str) -> int:
        with self.open_read(key) as source:
            return os.fstat(source.fileno()).st_size

    def delete(self, key: str) -> None:
        with suppress(NotFound), self._parent(key) as (directory, name):
            os.unlink(name, dir_fd=directory)

    def delete_tree(self, prefix: str) -> None:
        grave = self._temporary / f"removing-{uuid4().hex}"  # no directory of its own: a full disk has no room for one
        with suppress(NotFound), self._parent(prefix) as (directory, name):
            os.rename(name, grave, src_dir_fd=directory)
            remove_path(grave)

    def list(self, prefix: str) -> Iterator[str]:
        with suppress(NotFound), self._parent(prefix) as (parent, top):
            for directory, names, files, _descriptor in os.fwalk(top, dir_fd=parent):
                names.sort()
                within = prefix + directory[len(top) :]
                yield from (f"{within}/{file}" for file in sorted(files))

    def publish_tree(self, directory: Path, prefix: str) -> bool:
        check_key(prefix)
        try:
            return self._move_tree(directory, prefix)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise translate_os_error(error, prefix) from error
        staged = self._new_directory()
        try:
            copy_tree(directory, staged)
            shutil.rmtree(directory)
            return self._move_tree(staged, prefix)
        except OSError as error:
            raise translate_os_error(error, prefix) from error
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def free_bytes(self) -> int | None:
        try:
            disk = os.statvfs(self._root)
        except OSError as error:
            raise translate_os_error(error, TEMPORARY_DIRECTORY) from error
        return disk.f_bavail * disk.f_frsize

    def remove_abandoned(self, older_than: float) -> int:
        oldest = time.time() - older_than
        swept = 0
        for entry in self._temporary.iterdir():
            with suppress(FileNotFoundError):
                if entry.lstat().st_mtime < oldest:
                    remove_path(entry)
                    swept += 1
        return swept

    def check(self) -> None:
        probe = Writer("a probe", self._temporary, lambda _path: None)
        probe.write(b"probe")
        probe.discard()

    def _new_directory(self) -> Path:
        try:
            return Path(tempfile.mkdtemp(dir=self._temporary))
        except OSError as error:
            raise translate_os_error(error, TEMPORARY_DIRECTORY) from error

    def _move_file(self, path: Path, key: str) -> None:
        with self._parent(key, make=True) as (directory, name):
            os.replace(path, name, dst_dir_fd=directory)
            self._directory_sync.commit(directory)

    def _move_tree(self, source: Path, prefix: str) -> bool:
        """Rename a tree into place; False, and the tree dropped, when another came first."""
        fsync_tree(source)
        with self._parent(prefix, make=True, raw=True) as (directory, name):
            try:
                os.rename(source, name, dst_dir_fd=directory)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
                shutil.rmtree(source)
                return False
            os.fsync(directory)
        return True

    @contextmanager
    def _parent(self, key: str, *, make: bool = False, raw: bool = False) -> Iterator[tuple[int, str]]:
        """The open directory that holds `key`, and its name there. OSErrors inside become StoreErrors,
        unless `raw`."""
        *parts, name = check_key(key).split("/")
        directory = -1
        try:
            directory = os.open(self._root, DIRECTORY_FLAGS & ~os.O_NOFOLLOW)  # the root itself may be a link
            for part in parts:
                above, directory = directory, open_subdirectory(directory, part, make=make)
                os.close(above)
            yield directory, name
        except OSError as error:
            if raw:
                raise
            raise translate_os_error(error, key) from error
        finally:
            if directory >= 0:
                os.close(directory)


def open_subdirectory(directory: int, part: str, *, make: bool) -> int:
    """Open a directory inside an open one; made durably first if need be."""
    try:
        return os.open(part, DIRECTORY_FLAGS, dir_fd=directory)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(part, dir_fd=directory)
        os.fsync(directory)
    return os.open(part, DIRECTORY_FLAGS, dir_fd=directory)


def fsync_directories(descriptors: Iterable[int]) -> None:
    """fsync open directories, each once however many of the descriptors are open on it."""
    for descriptor in {os.fstat(descriptor).st_ino: descriptor for descriptor in descriptors}.values():
        os.fsync(descriptor)


def remove_path(path: Path) -> None:
    """Remove a file, a link or a tree."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def copy_tree(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        twin = target / path.relative_to(source)
        twin.mkdir() if path.is_dir() else shutil.copyfile(path, twin, follow_symlinks=False)


def fsync_tree(root: Path) -> None:
    """fsync every file and directory below `root`: a rename alone survives a power cut, its contents may not."""
    for directory, _names, files in os.walk(root):
        for name in [*files, "."]:
            descriptor = os.open(Path(directory) / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
