"""A buffer for arrays: in memory up to a limit, beyond that in an anonymous temporary file."""

import tempfile
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

# Bytes that stay in memory. A drawing of 100,000 entities fits; one of a million would exceed the memory limit.
MEMORY_BYTES = 32 * 1024**2

# On disk: a memory file system would count against the memory limit (Filesystem Hierarchy Standard 5.15). A sandboxed
# process writes to its own directory for temporary files instead, which `tempfile.tempdir` names.
SPILL_DIR = "/var/tmp"  # noqa: S108 - the file has no name


@dataclass(frozen=True)
class _SpilledArrays:
    """The offset of a group of arrays in the file, and the type and shape of each array."""

    offset: int
    types_and_shapes: tuple[tuple[str, tuple[int, ...]], ...]


class SpillBuffer:
    """Holds groups of arrays. Callers must not change an array after appending it."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._memory_left = memory_bytes
        self._groups: list[tuple[Array, ...] | _SpilledArrays] = []
        self._file: BinaryIO | None = None

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, *arrays: Array) -> int:
        """Store a group of arrays and return its number."""
        size = sum(array.nbytes for array in arrays)
        if size <= self._memory_left:
            self._memory_left -= size
            self._groups.append(arrays)
        else:
            self._memory_left = 0
            self._groups.append(self._write(arrays))
        return len(self._groups) - 1

    def get(self, number: int) -> tuple[Array, ...]:
        """Return the group stored as `number`; a copy if it is in the file."""
        group = self._groups[number]
        if isinstance(group, tuple):
            return group
        file = self._open_file()
        file.seek(group.offset)
        return tuple(
            np.frombuffer(file.read(prod(shape) * np.dtype(kind).itemsize), kind).reshape(shape)
            for kind, shape in group.types_and_shapes
        )

    def _write(self, arrays: tuple[Array, ...]) -> "_SpilledArrays":
        file = self._open_file()
        offset = file.seek(0, 2)
        for array in arrays:
            file.write(np.ascontiguousarray(array).data)
        return _SpilledArrays(offset, tuple((array.dtype.str, array.shape) for array in arrays))

    def _open_file(self) -> BinaryIO:
        if self._file is None:
            self._file = cast("BinaryIO", tempfile.TemporaryFile(dir=tempfile.tempdir or SPILL_DIR))  # noqa: SIM115 - closed by __del__
        return self._file
