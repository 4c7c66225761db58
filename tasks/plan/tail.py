"""Read the last bytes of a file, where formats have their end marker."""

import os
from typing import BinaryIO

WINDOW = 64 * 1024  # an end marker may be followed by stray bytes


def read_tail(file: BinaryIO, size: int, window: int = WINDOW) -> bytes:
    """Return the last `window` bytes of `file`; moves its position to the end."""
    file.seek(max(0, size - window), os.SEEK_SET)
    return file.read(window)
