"""A store in an S3 bucket, through obstore.

Credentials, region and endpoint come from the usual AWS_* variables (AWS_ENDPOINT_URL for another S3 service). Under
systemd the keys are credentials of the unit, in files of the same names. An object is staged in a local temporary file
and uploaded on commit, in parts if it is large, so that no incomplete object is ever visible.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from tasks.storage.errors import ObjectNotFound, StoreError
from tasks.storage.keys import MANIFEST, check_key
from tasks.storage.staging import CHUNK_BYTES, Writer, copy_stream
from tasks.utils.credentials import read_credentials

if TYPE_CHECKING:
    from obstore.store import S3Config

CONNECT_TIMEOUT = timedelta(seconds=2)
REQUEST_TIMEOUT = timedelta(seconds=30)  # one part of an upload on a slow line
RETRY_TIMEOUT = timedelta(seconds=5)  # then the caller gets the error: HTTP answers 503, a job is requeued
MAX_RETRIES = 3
KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
SPOOL_BYTES = 8 << 20  # bytes of an open object in memory; a larger object goes to a temporary file


class S3Store:
    """Objects below a prefix of a bucket. The manifest of a tree is uploaded last: it marks a complete tree.

    Raises StoreError when the extra is missing or the bucket cannot be addressed.
    """

    def __init__(self, bucket: str, prefix: str = "") -> None:
        try:
            import obstore
            from obstore.store import S3Store as Bucket
        except ImportError as error:
            raise StoreError(
                "An s3:// store needs the extra 's3': install it with `pip install 'bulkhead[s3]'`."
            ) from error
        self._name = f"s3://{bucket}/{prefix}"
        self._obstore = obstore
        with self._translate_errors(self._name):
            self._bucket = Bucket(
                bucket,
                prefix=prefix or None,
                config=cast("S3Config", read_credentials("", KEYS)),
                client_options={
                    "connect_timeout": CONNECT_TIMEOUT,
                    "timeout": REQUEST_TIMEOUT,
                    "allow_http": os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"),
                },
                retry_config={"max_retries": MAX_RETRIES, "retry_timeout": RETRY_TIMEOUT},
            )

    def __repr__(self) -> str:
        return f"S3Store({self._name!r})"

    def writer(self, key: str) -> Writer:
        check_key(key)
        return Writer(key, Path(tempfile.gettempdir()), lambda path: self._upload(path, key))

    def put(self, key: str, data: bytes | BinaryIO) -> str:
        with self.writer(key) as writer:
            writer.write(data) if isinstance(data, bytes) else copy_stream(data, writer)
        return writer.digest

    def open_read(self, key: str) -> BinaryIO:
        spool = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
        try:
            self._download(key, cast("BinaryIO", spool))
        except BaseException:
            spool.close()
            raise
        spool.seek(0)
        return cast("BinaryIO", spool)

    @contextmanager
    def as_file(self, key: str) -> Iterator[Path]:
        with tempfile.NamedTemporaryFile(prefix="borrowed-") as file:
            self._download(key, cast("BinaryIO", file))
            file.flush()
            yield Path(file.name)

    def fetch(self, key: str, path: Path) -> None:
        with path.open("wb") as file:
            self._download(key, file)

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except ObjectNotFound:
            return False
        return True

    def size(self, key: str) -> int:
        with self._translate_errors(check_key(key)):
            return self._obstore.head(self._bucket, key)["size"]

    def delete(self, key: str) -> None:
        with suppress(ObjectNotFound), self._translate_errors(check_key(key)):
            self._obstore.delete(self._bucket, key)

    def delete_tree(self, prefix: str) -> None:
        manifest = f"{check_key(prefix)}/{MANIFEST}"
        self.delete(manifest)  # first: from now on the tree counts as incomplete
        keys = list(self.list(prefix))
        if keys:
            with self._translate_errors(prefix):
                self._obstore.delete(self._bucket, keys)

    def list(self, prefix: str) -> Iterator[str]:
        with self._translate_errors(check_key(prefix)):
            for page in self._obstore.list(self._bucket, prefix):
                yield from (entry["path"] for entry in page)

    def publish_tree(self, directory: Path, prefix: str) -> bool:
        manifest = f"{check_key(prefix)}/{MANIFEST}"
        is_free = not self.exists(manifest)
        if is_free:
            files = [path for path in directory.rglob("*") if path.is_file()]
            for path in sorted(files, key=lambda path: (path == directory / MANIFEST, path)):
                self._upload(path, f"{prefix}/{path.relative_to(directory).as_posix()}")
        shutil.rmtree(directory)
        return is_free

    def free_bytes(self) -> int | None:
        return None

    def remove_abandoned(self, older_than: float) -> int:  # noqa: ARG002 - a lifecycle rule of the bucket removes abandoned uploads
        return 0

    def check(self) -> None:
        self.exists("readiness")

    def _upload(self, path: Path, key: str) -> None:
        with self._translate_errors(key):
            self._obstore.put(self._bucket, key, path)

    def _download(self, key: str, file: BinaryIO) -> None:
        with self._translate_errors(check_key(key)):
            file.writelines(self._obstore.get(self._bucket, key).stream(CHUNK_BYTES))

    @contextmanager
    def _translate_errors(self, key: str) -> Iterator[None]:
        """Raise errors of the object store at `key` as StoreErrors."""
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectNotFound(key) from error
        except self._obstore.exceptions.NotFoundError as error:
            raise ObjectNotFound(key) from error
        except self._obstore.exceptions.BaseError as error:
            reason = str(error).partition("\n")[0][:300]
            raise StoreError(
                f"{self._name} failed at '{key}': {reason} "
                "Check the bucket, AWS_ENDPOINT_URL, AWS_REGION and the credentials."
            ) from error
