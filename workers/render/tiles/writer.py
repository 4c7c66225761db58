"""Write the tiles of one pyramid: encoded in threads, written atomically, uniform tiles encoded once.

Tiles on disk are reused, so a second attempt at a render resumes where the first was killed. Uniform tiles of one
colour are hard links to one file; in a store without links they are small equal objects.
"""

import errno
import hashlib
import os
import threading
from array import array
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.render.manifest import TileLevel, TileSet
from workers.render.raster import Pixels
from workers.render.tiles.encode import encode_tile, is_complete, uniform_pixel
from workers.render.tiles.pyramid import FORMAT, TILE, Pyramid

# libwebp releases the GIL: encoding threads run beside the thread that reads and shrinks.
ENCODER_THREADS = 2

# Tiles in flight: enough to keep the threads busy, few enough that their pixels (at most 1 MB each) do not matter.
MAX_PENDING = 8

# The file has the maximum number of links, or the file system supports none.
_LINK_UNSUPPORTED = frozenset({errno.EMLINK, errno.EPERM, errno.ENOTSUP})

_DIGEST = hashlib.sha256().digest_size


class TileWriter:
    """Accepts tiles in any order. A context manager that waits for the last one.

        with TileWriter(out, "tiles", pyramid, on_progress) as writer:
            writer.submit(level, column, row, pixels)
        tiles = writer.finish()

    Files are `<name>_files/{level}/{column}_{row}.webp` in `folder`. `on_progress` receives the share of tiles that are
    submitted or reused, in the calling thread. `written` counts the tiles that are not reused.
    """

    def __init__(self, folder: Path, name: str, pyramid: Pyramid, on_progress: Callable[[float], None]) -> None:
        self.written = 0
        self._folder, self._name, self._pyramid, self._on_progress = folder, name, pyramid, on_progress
        self._levels = [
            _Level(folder / f"{name}_files" / str(level), pyramid.grid(level)) for level in range(pyramid.top + 1)
        ]
        self._pool = ThreadPoolExecutor(ENCODER_THREADS, thread_name_prefix="tile")
        self._slots = threading.Semaphore(MAX_PENDING)
        self._uniform_lock = threading.Lock()
        self._uniform_tiles: dict[tuple[bytes, int, int], tuple[Path, bytes]] = {}
        self._failure: BaseException | None = None
        self._done_count = 0

    def __enter__(self) -> Self:
        for level in self._levels:
            level.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            self._raise_failure()

    def reuse(self, level: int, column: int, row: int) -> bool:
        """Reuse the tile if an earlier attempt wrote it. Returns whether it did; the tile is then done."""
        try:
            data = self._levels[level].path(column, row).read_bytes()
        except FileNotFoundError:
            return False
        if not is_complete(data):
            return False
        self._levels[level].record(column, row, data)
        self._advance()
        return True

    def submit(self, level: int, column: int, row: int, pixels: Pixels) -> None:
        """Queue a tile for encoding and writing. Blocks while `MAX_PENDING` tiles are in flight. Copies `pixels`."""
        self._raise_failure()
        self._slots.acquire()
        self.written += 1
        self._pool.submit(self._write_tile, self._levels[level], column, row, pixels.copy()).add_done_callback(
            self._on_written
        )
        self._advance()

    def finish(self) -> TileSet:
        """Write the descriptor, after all tiles, and return the manifest's entry. Call it after the block."""
        path = self._folder / f"{self._name}.dzi"
        text = self._pyramid.descriptor().encode()
        path.write_bytes(text)
        return TileSet(
            file=f"{self._name}.dzi",
            bytes=len(text),
            sha256=hashlib.sha256(text).hexdigest(),
            width=self._pyramid.width,
            height=self._pyramid.height,
            tile_size=TILE,
            levels=[level.describe(number) for number, level in enumerate(self._levels)],
        )

    def _write_tile(self, level: "_Level", column: int, row: int, pixels: Pixels) -> None:
        path = level.path(column, row)
        value = uniform_pixel(pixels)
        if value is None:
            data = encode_tile(pixels)
            replace_file(path, data)
        else:
            data = self._write_uniform(path, (value, *pixels.shape[:2]), pixels)
        level.record(column, row, data)

    def _write_uniform(self, path: Path, key: tuple[bytes, int, int], pixels: Pixels) -> bytes:
        with self._uniform_lock:
            if key in self._uniform_tiles:
                first, data = self._uniform_tiles[key]
                replace_file(path, data, first)
            else:
                data = encode_tile(pixels)
                replace_file(path, data)
                self._uniform_tiles[key] = path, data
        return data

    def _on_written(self, future: "Future[None]") -> None:
        self._slots.release()
        if not future.cancelled() and future.exception() is not None:
            self._failure = self._failure or future.exception()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _advance(self) -> None:
        self._done_count += 1
        self._on_progress(self._done_count / self._pyramid.tiles)


class _Level:
    """Paths, sizes and digests of a level's tiles: 36 bytes of memory a tile."""

    def __init__(self, folder: Path, grid: tuple[int, int]) -> None:
        self.folder = folder
        self._columns, self._rows = grid
        self._digests = bytearray(_DIGEST * self._columns * self._rows)
        self._sizes = array("I", bytes(4 * self._columns * self._rows))

    def path(self, column: int, row: int) -> Path:
        return self.folder / f"{column}_{row}.{FORMAT}"

    def record(self, column: int, row: int, data: bytes) -> None:
        index = row * self._columns + column
        self._sizes[index] = len(data)
        self._digests[_DIGEST * index : _DIGEST * (index + 1)] = hashlib.sha256(data).digest()

    def describe(self, number: int) -> TileLevel:
        distinct_digests = {bytes(self._digests[at : at + _DIGEST]) for at in range(0, len(self._digests), _DIGEST)}
        return TileLevel(
            level=number,
            columns=self._columns,
            rows=self._rows,
            distinct_tiles=len(distinct_digests),
            bytes=sum(self._sizes),
            sha256=hashlib.sha256(self._digests).hexdigest(),
        )


def replace_file(path: Path, data: bytes, link_to: Path | None = None) -> None:
    """Write `data` to `path` atomically; as a hard link to `link_to` if the file system supports that.

    The temporary name is fixed: an attempt after a kill replaces the file, which would be published under any other.
    """
    temporary = path.with_name(f"{path.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        if link_to is None:
            temporary.write_bytes(data)
        else:
            os.link(link_to, temporary)
    except OSError as error:
        if error.errno not in _LINK_UNSUPPORTED:
            raise
        temporary.write_bytes(data)
    temporary.replace(path)
