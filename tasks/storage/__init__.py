"""The store of sources and outputs: a local directory or an S3 bucket.

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

from tasks.storage.errors import InvalidKey, ObjectNotFound, StoreError, StoreFull
from tasks.storage.keys import MANIFEST, check_key
from tasks.storage.staging import Writer

__all__ = [
    "MANIFEST",
    "InvalidKey",
    "ObjectNotFound",
    "Store",
    "StoreError",
    "StoreFull",
    "Writer",
    "check_key",
    "open_store",
]


class Store(Protocol):
    """Objects by key. Every method blocks, and raises InvalidKey, ObjectNotFound, StoreFull or another StoreError."""

    def writer(self, key: str) -> Writer:
        """Start a new object. It becomes visible, durable and complete, when the writer is committed."""

    def put(self, key: str, data: bytes | BinaryIO) -> str:
        """Store bytes or a stream and return its SHA-256 in hex. Replaces an existing object."""

    def open_read(self, key: str) -> BinaryIO:
        """Open an object for reading; the caller closes it. Raises ObjectNotFound."""

    def as_file(self, key: str) -> AbstractContextManager[Path]:
        """A local file with the object's content, for reading inside the `with` block. Raises ObjectNotFound."""

    def fetch(self, key: str, path: Path) -> None:
        """Copy an object to a local file. Raises ObjectNotFound."""

    def exists(self, key: str) -> bool: ...

    def size(self, key: str) -> int:
        """The size of an object in bytes. Raises ObjectNotFound."""

    def delete(self, key: str) -> None:
        """Remove an object if it exists."""

    def delete_tree(self, prefix: str) -> None:
        """Remove all objects below `prefix/`."""

    def list(self, prefix: str) -> Iterator[str]:
        """The keys of all objects below `prefix/`."""

    def publish_tree(self, directory: Path, prefix: str) -> bool:
        """Move a directory with a manifest to `prefix/` atomically. Returns whether the prefix was free.

        An existing tree is kept and the new one is deleted: the same key means the same bytes. `directory` is gone
        afterwards either way.
        """

    def free_bytes(self) -> int | None:
        """The free space in bytes; None for a store without a known limit."""

    def remove_abandoned(self, older_than: float) -> int:
        """Remove objects of killed writers that are older than `older_than` seconds. Returns their number."""

    def check(self) -> None:
        """Raise StoreError unless the store can be used."""


def open_store(url: str) -> Store:
    """Open the store at a directory path, a `file://` URL or an `s3://bucket/prefix` URL. Raises StoreError."""
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
                f"'{other}' is not a supported kind of store: set BULKHEAD_STORE_URL to a directory or s3://bucket/prefix."
            )
