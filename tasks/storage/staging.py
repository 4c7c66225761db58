"""Writers of new objects: content is staged in a hidden file, hashed and counted on the way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from uuid import uuid4

from tasks.storage.errors import translate_os_error
from tasks.utils.files import SHARED_FILE

CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
CHUNK_BYTES = 1 << 20  # bytes per read of a copy


class Writer:
    """A new object, invisible until `commit`. The end of its `with` block commits it, an exception discards it.

    Creating a writer costs nothing; its methods block, so call them from a thread. `size` is the number of bytes
    written so far, `digest` their SHA-256 in hex. `write` and `commit` raise StoreFull or StoreError, and leave nothing
    behind then.
    """

    def __init__(self, key: str, directory: Path, publish: Callable[[Path], None]) -> None:
        self.key = key
        self.size = 0
        self._hash = hashlib.sha256()
        self._publish = publish
        self._path = directory / f"writing-{uuid4().hex}"
        self._opened: FileIO | None = None

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    @property
    def path(self) -> Path:
        """A local file with all bytes written so far."""
        self._file()
        return self._path

    def write(self, data: bytes | bytearray | memoryview) -> None:
        file = self._file()
        self._hash.update(data)
        self.size += len(data)
        remaining = memoryview(data)
        try:
            while remaining:
                remaining = remaining[file.write(remaining) :]
        except OSError as error:
            self.discard()
            raise translate_os_error(error, self.key) from error

    def commit(self) -> None:
        """Make the object durable and visible atomically."""
        file = self._file()
        try:
            os.fsync(file.fileno())
            self._publish(self._path)
            # Drop its pages from the page cache: the worker may run elsewhere or an hour from now. Finding free pages
            # for a burst of drawings takes longer than reading one of them back.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise translate_os_error(error, self.key) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Delete the staged content. Does nothing after `commit`."""
        if self._opened and not self._opened.closed:
            self._opened.close()
            with suppress(FileNotFoundError):
                self._path.unlink()

    def _file(self) -> FileIO:
        if self._opened is None:
            try:
                self._opened = FileIO(os.open(self._path, CREATE_FLAGS, SHARED_FILE), "wb")
            except OSError as error:
                raise translate_os_error(error, self.key) from error
        return self._opened

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.commit()
        else:
            self.discard()


def copy_stream(source: BinaryIO, writer: Writer) -> None:
    """Copy a whole stream to `writer`, in chunks."""
    while chunk := source.read(CHUNK_BYTES):
        writer.write(chunk)
