"""A store in a local directory.

Every path is opened directory by directory from the root with O_NOFOLLOW, so that no symbolic link leads out of the
store. New objects are written below `.tmp` in the same file system and renamed into place.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from tasks.storage.errors import ObjectNotFound, StoreError, translate_os_error
from tasks.storage.keys import check_key
from tasks.storage.staging import CHUNK_BYTES, Writer, copy_stream
from tasks.utils.group_commit import GroupCommit

TEMPORARY_DIRECTORY = ".tmp"  # not a valid key: parts never start with a dot
PERMISSIONS = 0o777  # of owner, group and others, without setgid and the like
NOT_EXECUTABLE = 0o666
DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalStore:
    """Objects are files and artifacts are directories. Both become visible by a rename.

    The umask decides who may read and write them, so that processes of several users can share a store by a group.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._temporary = self._root / TEMPORARY_DIRECTORY
        self._directory_sync = GroupCommit(fsync_directories)
        try:
            self._temporary.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The store's directory {root} cannot be created ({error.strerror}): "
                "set BULKHEAD_STORE_URL to a directory that this user can write to."
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
            raise ObjectNotFound(key) from error

    @contextmanager
    def as_file(self, key: str) -> Iterator[Path]:
        self.open_read(key).close()  # checks that it exists and that no link is on the path
        yield self._root / key

    def fetch(self, key: str, path: Path) -> None:
        with self.open_read(key) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)

    def exists(self, key: str) -> bool:
        try:
            self.open_read(key).close()
        except ObjectNotFound:
            return False
        return True

    def size(self, key: str) -> int:
        with self.open_read(key) as source:
            return os.fstat(source.fileno()).st_size

    def delete(self, key: str) -> None:
        with suppress(ObjectNotFound), self._parent(key) as (directory, name):
            os.unlink(name, dir_fd=directory)

    def delete_tree(self, prefix: str) -> None:
        doomed = self._temporary / f"removing-{uuid4().hex}"  # not in a new directory: a full disk has no room for one
        with suppress(ObjectNotFound), self._parent(prefix) as (directory, name):
            os.rename(name, doomed, src_dir_fd=directory)
            remove_path(doomed)

    def list(self, prefix: str) -> Iterator[str]:
        with suppress(ObjectNotFound), self._parent(prefix) as (parent, top):
            for directory, names, files, _descriptor in os.fwalk(top, dir_fd=parent):
                names.sort()
                path = prefix + directory[len(top) :]
                yield from (f"{path}/{file}" for file in sorted(files))

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
        removed = 0
        for entry in self._temporary.iterdir():
            with suppress(FileNotFoundError):
                if entry.lstat().st_mtime < oldest:
                    remove_path(entry)
                    removed += 1
        return removed

    def check(self) -> None:
        probe = Writer("a probe", self._temporary, lambda _path: None)
        probe.write(b"probe")
        probe.discard()

    def _new_directory(self) -> Path:
        directory = self._temporary / f"staging-{uuid4().hex}"
        try:
            directory.mkdir()
        except OSError as error:
            raise translate_os_error(error, TEMPORARY_DIRECTORY) from error
        return directory

    def _move_file(self, path: Path, key: str) -> None:
        with self._parent(key, create=True) as (directory, name):
            os.replace(path, name, dst_dir_fd=directory)
            self._directory_sync.commit(directory)

    def _move_tree(self, source: Path, prefix: str) -> bool:
        """Rename a tree into place. False if another tree is there already; this one is deleted then."""
        with self._parent(prefix, create=True, raw=True) as (directory, name):
            seal_tree(source, os.fstat(directory).st_mode & PERMISSIONS)
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
    def _parent(self, key: str, *, create: bool = False, raw: bool = False) -> Iterator[tuple[int, str]]:
        """The open parent directory of `key` and its last part. Unless `raw`, OSErrors are raised as StoreErrors."""
        *parts, name = check_key(key).split("/")
        directory = -1
        try:
            directory = os.open(self._root, DIRECTORY_FLAGS & ~os.O_NOFOLLOW)  # the root itself may be a symbolic link
            for part in parts:
                above, directory = directory, open_subdirectory(directory, part, create=create)
                os.close(above)
            yield directory, name
        except OSError as error:
            if raw:
                raise
            raise translate_os_error(error, key) from error
        finally:
            if directory >= 0:
                os.close(directory)


def open_subdirectory(directory: int, part: str, *, create: bool) -> int:
    """Open a subdirectory of an open directory. With `create` it is created durably if it is missing."""
    try:
        return os.open(part, DIRECTORY_FLAGS, dir_fd=directory)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):
        os.mkdir(part, dir_fd=directory)
        os.fsync(directory)
    return os.open(part, DIRECTORY_FLAGS, dir_fd=directory)


def fsync_directories(descriptors: Iterable[int]) -> None:
    """fsync open directories, each only once even if several descriptors refer to it."""
    for descriptor in {os.fstat(descriptor).st_ino: descriptor for descriptor in descriptors}.values():
        os.fsync(descriptor)


def remove_path(path: Path) -> None:
    """Remove a file, a symbolic link or a directory tree."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def copy_tree(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        copy.mkdir() if path.is_dir() else shutil.copyfile(path, copy, follow_symlinks=False)


def seal_tree(root: Path, permissions: int) -> None:
    """Set the permissions (those of a directory) of everything below `root`, and fsync it.

    The work directory of a job is private, but its outputs are for all who may read the store. After a power failure a
    rename may survive without the contents.
    """
    for directory, _names, files in os.walk(root):
        for name in [*files, "."]:
            descriptor = os.open(Path(directory) / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fchmod(descriptor, permissions if name == "." else permissions & NOT_EXECUTABLE)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
