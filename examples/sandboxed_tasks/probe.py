"""Native code that reads files of strangers. It knows no Celery, and the sandbox imports this module alone."""

import ctypes
from functools import cache
from pathlib import Path

# magic.h
_MAGIC_NONE, _MAGIC_MIME_TYPE = 0x0, 0x10


def identify(path: str) -> dict[str, str]:
    """Type and description of a file. Raises OSError."""
    content = Path(path).read_bytes()
    return {"type": _identify(content, _MAGIC_MIME_TYPE), "description": _identify(content, _MAGIC_NONE)}


def first_pixel(path: str) -> list[int]:
    """Blue, green and red of the first pixel of a BMP file.

    As in many a decoder, the offset of the pixels comes from the file and nobody checks it.
    """
    content = Path(path).read_bytes()
    offset = int.from_bytes(content[10:14], "little")
    pixel = (ctypes.c_ubyte * 3)()
    start = ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value or 0
    ctypes.memmove(pixel, start + offset, len(pixel))
    return list(pixel)


def _identify(content: bytes, flags: int) -> str:
    library = _library()
    cookie = library.magic_open(flags)
    try:
        if library.magic_load(cookie, None):
            raise OSError(library.magic_error(cookie).decode())
        return str(library.magic_buffer(cookie, content, len(content)).decode())
    finally:
        library.magic_close(cookie)


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libmagic.so.1")
    library.magic_open.restype = ctypes.c_void_p
    library.magic_load.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.magic_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.magic_buffer.restype = library.magic_error.restype = ctypes.c_char_p
    library.magic_error.argtypes = library.magic_close.argtypes = [ctypes.c_void_p]
    return library


_library()  # once, when the sandbox imports this module
