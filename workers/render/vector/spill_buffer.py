"""A shelf for arrays: in memory while there are few, in an unnamed file beyond that."""

import tempfile
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

# Bytes that stay in memory. A drawing of 100,000 entities fits; ten times that does not fit into any worker.
MEMORY_BYTES = 32 * 1024**2

# On a disk, not on a memory file system that counts against the worker's fence (Filesystem Hierarchy Standard 5.15).
SPILL_DIR = "/var/tmp"  # noqa: S108 - the file has no name


@dataclass(frozen=True)
class _SpilledArrays:
    """Where arrays lie in the file, in bytes, and the type and shape of each."""

    offset: int
    types_and_shapes: tuple[tuple[str, tuple[int, ...]], ...]


class SpillBuffer:
    """Holds groups of arrays, which may not be changed any more."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._memory_left = memory_bytes
        self._groups: list[tuple[Array, ...] | _SpilledArrays] = []
        self._file: BinaryIO | None = None

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, *arrays: Array) -> int:
        """Keep `arrays`; the number by which `get` finds them again."""
        size = sum(array.nbytes for array in arrays)
        if size <= self._memory_left:
            self._memory_left -= size
            self._groups.append(arrays)
        else:
            self._memory_left = 0
            self._groups.append(self._write(arrays))
        return len(self._groups) - 1

    def get(self, number: int) -> tuple[Array, ...]:
        """The arrays put as `number`; a copy of their own size where they lie in the file."""
        found = self._groups[number]
        if isinstance(found, tuple):
            return found
        file = self._open_file()
        file.seek(found.offset)
        return tuple(
            np.frombuffer(file.read(prod(shape) * np.dtype(kind).itemsize), kind).reshape(shape)
            for kind, shape in found.types_and_shapes
        )

    def _write(self, arrays: tuple[Array, ...]) -> "_SpilledArrays":
        file = self._open_file()
        at = file.seek(0, 2)
        for array in arrays:
            file.write(np.ascontiguousarray(array).data)
        return _SpilledArrays(at, tuple((array.dtype.str, array.shape) for array in arrays))

    def _open_file(self) -> BinaryIO:
        if self._file is None:
            self._file = cast("BinaryIO", tempfile.TemporaryFile(dir=SPILL_DIR))  # noqa: SIM115 - lives as long as this
        return self._file
