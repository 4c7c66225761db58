"""The store: where sources and outputs lie, a local directory or a bucket of S3.

Layout: `sources/<tenant>/<job>`, `artifacts/<tenant>/<artifact>/{manifest.json,preview.webp,layers/000.webp}`.

    store = open_store("var/store")             # or "file:///srv/bulkhead", or "s3://bucket/prefix"
    with store.writer("sources/acme/1") as writer:
        writer.write(b"...")
    print(writer.digest, writer.size)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from tasks.storage.errors import InvalidKey, NotFound, StoreError, StoreFull
from tasks.storage.keys import MANIFEST, check_key
from tasks.storage.staging import Writer

__all__ = [
    "MANIFEST",
    "InvalidKey",
    "NotFound",
    "Store",
    "StoreError",
    "StoreFull",
    "Writer",
    "check_key",
    "open_store",
]


class Store(Protocol):
    """Objects by key. Every method blocks, and raises InvalidKey, NotFound, StoreFull or another StoreError."""

    def writer(self, key: str) -> Writer:
        """Begin a new object; it appears, durable and whole, when the writer is committed."""

    def put(self, key: str, data: bytes | BinaryIO) -> str:
        """Store bytes or a stream; returns the SHA-256 in hex. Replaces what was there."""

    def open_read(self, key: str) -> BinaryIO:
        """Open an object for reading; the caller closes it. Raises NotFound."""

    def as_file(self, key: str) -> AbstractContextManager[Path]:
        """A local file with the object's bytes, to read while the `with` block lasts. Raises NotFound."""

    def fetch(self, key: str, path: Path) -> None:
        """Copy an object to a local file. Raises NotFound."""

    def exists(self, key: str) -> bool: ...

    def size(self, key: str) -> int:
        """Bytes of an object. Raises NotFound."""

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""

    def delete_tree(self, prefix: str) -> None:
        """Remove everything below `prefix/`."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys of all objects below `prefix/`."""

    def publish_tree(self, directory: Path, prefix: str) -> bool:
        """Move a directory with a manifest to `prefix/`, whole or not at all; `directory` is gone afterwards.

        A tree that is there already stays and the new one is dropped: the same key means the same bytes.
        Returns whether this one was the first.
        """

    def free_bytes(self) -> int | None:
        """Bytes that can still be stored; None where that has no bound that one could ask for."""

    def remove_abandoned(self, older_than: float) -> int:
        """Remove what killed writers left behind, older than so many seconds; returns how many."""

    def check(self) -> None:
        """Raise StoreError unless the store can be used now."""


def open_store(url: str) -> Store:
    """Open the store at a directory's path, a `file://` or an `s3://bucket/prefix` URL."""
    parts = urlsplit(url)
    match parts.scheme:
        case "" | "file":
            from tasks.storage.local import LocalStore

            return LocalStore(Path(unquote(parts.path) if parts.scheme else url))
        case "s3":
            from tasks.storage.s3 import S3Store

            return S3Store(parts.netloc, parts.path.strip("/"))
        case other:
            raise StoreError(
                f"There is no store of kind '{other}': set BULKHEAD_STORE_URL to a directory or s3://bucket/prefix."
            )
