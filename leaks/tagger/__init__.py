"""The allocation tagger: compiled from tagger.c, preloaded into the child, and read there through ctypes."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from leaks.errors import ToolMissing

SOURCE = Path(__file__).with_name("tagger.c")

_FLAGS = ("-std=gnu11", "-O2", "-shared", "-fPIC", "-fvisibility=hidden")


def build_library(folder: Path) -> Path:
    """Compile the library into `folder`, unless it is there already. Raises ToolMissing without a compiler."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    library = folder.resolve() / f"tagger-{digest}.so"
    if library.exists():
        return library
    compiler = shutil.which("cc")
    if compiler is None:
        raise ToolMissing("A C compiler", "gcc libc6-dev")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        fresh = Path(work, library.name)
        answer = subprocess.run(
            [compiler, *_FLAGS, "-o", str(fresh), str(SOURCE)], capture_output=True, text=True, check=False
        )
        if answer.returncode:
            raise ToolMissing(f"A compiler that builds {SOURCE.name} ({answer.stderr.strip()[:300]})", "gcc libc6-dev")
        os.replace(fresh, library)  # noqa: PTH105 -- concurrent hunts may both build it
    return library


class Tagger:
    """The tagger in this process. Jobs are numbered from 1; 0 stands for the observer and everything before."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        for name in ("bytes", "blocks", "total", "dump"):
            getattr(library, f"tagger_{name}").restype = ctypes.c_int64
        self._library = library

    def set_job(self, job: int) -> None:
        """Attribute allocations to `job` from now on."""
        self._library.tagger_job(job)

    def record_stacks(self, first: int, last: int) -> None:
        """Record the stack of every allocation in these jobs."""
        self._library.tagger_record(first, last)

    def bytes(self, job: int) -> int:
        """Bytes allocated in `job` that are alive."""
        return int(self._library.tagger_bytes(job))

    def blocks(self, job: int) -> int:
        """Blocks allocated in `job` that are alive."""
        return int(self._library.tagger_blocks(job))

    def total(self, last: int) -> int:
        """Bytes that are alive and were allocated in any job up to `last`, or before the first."""
        return int(self._library.tagger_total(last))

    def dump(self, path: Path) -> None:
        """Write the recorded blocks that are alive, the pointers between them, and their stacks, for `leaks.roots`."""
        self._library.tagger_dump(os.fsencode(path))
