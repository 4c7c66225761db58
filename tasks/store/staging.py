"""Bytes on their way into a store: written to a private file, hashed and counted as they pass."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from tasks.store.errors import translate

CHUNK = 1 << 20  # bytes a copy moves at a time


class Writer:
    """A new object, invisible until `commit`. Leave its `with` block in peace to commit, with an exception
    to discard. All its methods block: call them from a thread.

    `path` is a local file with everything written so far, `size` its bytes, `digest` its SHA-256 in hex.
    `write` and `commit` raise StoreFull or StoreError; nothing is left behind then.
    """

    def __init__(self, key: str, directory: Path, publish: Callable[[Path], None]) -> None:
        self.key = key
        self.size = 0
        self._hash = hashlib.sha256()
        self._publish = publish
        try:
            descriptor, name = tempfile.mkstemp(prefix="writing-", dir=directory)
        except OSError as error:
            raise translate(error, key) from error
        self.path = Path(name)
        self._file: BinaryIO = os.fdopen(descriptor, "wb", buffering=0)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._hash.update(data)
        self.size += len(data)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.discard()
            raise translate(error, self.key) from error

    def commit(self) -> None:
        """Make the object durable and visible, at once and whole."""
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            self._publish(self.path)
        except OSError as error:
            raise translate(error, self.key) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget what was written; harmless after `commit`."""
        self._file.close()
        with suppress(FileNotFoundError):
            self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.commit()
        else:
            self.discard()


def copy(source: BinaryIO, writer: Writer) -> None:
    """Move a whole stream into `writer`, a chunk at a time."""
    while chunk := source.read(CHUNK):
        writer.write(chunk)
