"""Checks what a render left in its output directory, before anything of it is published.

The process that wrote it may have been taken over by the drawing, so the directory is read after the process is gone,
without following links, and only files of the contract pass: their names, their sizes, and the first bytes of pictures.
"""

import os
import re
import stat
from pathlib import Path

from pydantic import ValidationError

from tasks.errors import JobFailed
from tasks.storage import MANIFEST
from workers.render.manifest import Manifest

# Bytes. A manifest has about 500 bytes a layer and 250 a tile level.
MAX_MANIFEST_BYTES = 32 * 1024**2

# Bytes of a picture, and of a Deep Zoom descriptor.
MAX_PICTURE_BYTES = 512 * 1024**2
MAX_DESCRIPTOR_BYTES = 4096

# Files of a render. The largest drawing has 350,000 tiles a pyramid.
MAX_FILES = 2_000_000

_PICTURE = re.compile(
    r"(preview|layers/\d{3,6}|(tiles|layers/\d{3,6})_files/\d{1,2}/\d{1,6}_\d{1,6})\.(webp|png)", re.ASCII
)
_DESCRIPTOR = re.compile(r"(tiles|layers/\d{3,6})\.dzi", re.ASCII)
_DIRECTORY = re.compile(r"layers|(tiles|layers/\d{3,6})_files(/\d{1,2})?", re.ASCII)

_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX

_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class InvalidOutput(JobFailed):
    """The render wrote something that a render does not write. Send the drawing to the maintainers."""

    code = "invalid-output"


def check_outputs(folder: Path) -> Manifest:
    """The manifest of a finished render. Raises InvalidOutput."""
    names = set()
    for directory, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        prefix = os.path.relpath(directory, folder)
        for name in folders:
            _check_directory(_join(prefix, name), name, descriptor)
        for name in files:
            path = _join(prefix, name)
            _check_file(path, name, descriptor)
            names.add(path)
            if len(names) > MAX_FILES:
                raise InvalidOutput(f"The render wrote more than {MAX_FILES:,} files.")
    if MANIFEST not in names:
        raise InvalidOutput("The render wrote no manifest.")
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        raise InvalidOutput(f"The render's manifest is invalid ({error.error_count()} errors).") from error
    if missing := sorted(set(_named_files(manifest)) - names):
        raise InvalidOutput(f"The render's manifest names {missing[0]!r:.100}, which does not exist.")
    return manifest


def _join(prefix: str, name: str) -> str:
    return name if prefix == "." else f"{prefix}/{name}"


def _check_directory(path: str, name: str, parent: int) -> None:
    is_directory = stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    if not is_directory or not _DIRECTORY.fullmatch(path):
        raise InvalidOutput(f"The render wrote {path!r:.100}, which is no directory of a render.")


def _check_file(path: str, name: str, parent: int) -> None:
    try:
        descriptor = os.open(name, _OPEN_FLAGS, dir_fd=parent)
    except OSError as error:
        raise InvalidOutput(f"The render wrote {path!r:.100}, which is no regular file.") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise InvalidOutput(f"The render wrote {path!r:.100}, which is no regular file.")
        if facts.st_mode & _SPECIAL_BITS:
            raise InvalidOutput(f"The render wrote {path!r:.100} as a set-user-ID or set-group-ID file.")
        if facts.st_size > _size_limit(path):
            raise InvalidOutput(f"The render wrote {path!r:.100} with {facts.st_size:,} bytes, which is too large.")
        if _PICTURE.fullmatch(path) and not _is_picture(path, os.read(descriptor, 12)):
            raise InvalidOutput(f"The render wrote {path!r:.100}, which is no picture.")
    finally:
        os.close(descriptor)


def _size_limit(path: str) -> int:
    """The maximum size of the file `path` of a render. Raises InvalidOutput for a file that is none."""
    if path == MANIFEST:
        return MAX_MANIFEST_BYTES
    if _DESCRIPTOR.fullmatch(path):
        return MAX_DESCRIPTOR_BYTES
    if _PICTURE.fullmatch(path):
        return MAX_PICTURE_BYTES
    raise InvalidOutput(f"The render wrote {path!r:.100}, which is no file of a render.")


def _is_picture(path: str, start: bytes) -> bool:
    if path.endswith(".png"):
        return start.startswith(b"\x89PNG\r\n\x1a\n")
    return start.startswith(b"RIFF") and start[8:] == b"WEBP"


def _named_files(manifest: Manifest) -> list[str]:
    tile_sets = [manifest.tiles, *(layer.tiles for layer in manifest.layers)]
    return [
        manifest.preview.file,
        *(layer.file for layer in manifest.layers if layer.file),
        *(tiles.file for tiles in tile_sets if tiles),
    ]
