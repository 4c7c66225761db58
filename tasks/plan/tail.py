"""The last bytes of a file, where formats keep their end marker."""

import os
from typing import BinaryIO

WINDOW = 64 * 1024  # end markers may be followed by some rubbish


def read_tail(file: BinaryIO, size: int, window: int = WINDOW) -> bytes:
    """Last `window` bytes of `file`; moves its position to the end."""
    file.seek(max(0, size - window), os.SEEK_SET)
    return file.read(window)
