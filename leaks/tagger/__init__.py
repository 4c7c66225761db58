"""The allocation tagger: built from tagger.c, preloaded into the child, read by it through ctypes."""

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
    """The library in `folder`, compiled unless it is there already. Raises ToolMissing without a compiler."""
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
            raise ToolMissing(f"What compiles {SOURCE.name} ({answer.stderr.strip()[:300]})", "gcc libc6-dev")
        os.replace(fresh, library)  # noqa: PTH105 -- hunts at the same time may both build it
    return library


class Tagger:
    """The tagger in this process. Jobs are numbered from 1; 0 is the observer and all that came before."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        for name in ("bytes", "blocks", "total", "dump"):
            getattr(library, f"tagger_{name}").restype = ctypes.c_int64
        self._library = library

    def set_job(self, job: int) -> None:
        """From now on blocks are born in `job`."""
        self._library.tagger_job(job)

    def record_stacks(self, first: int, last: int) -> None:
        """Keep the stack of every block that is born in these jobs."""
        self._library.tagger_record(first, last)

    def bytes(self, job: int) -> int:
        """Bytes born in `job` and alive."""
        return int(self._library.tagger_bytes(job))

    def blocks(self, job: int) -> int:
        """Blocks born in `job` and alive."""
        return int(self._library.tagger_blocks(job))

    def total(self, last: int) -> int:
        """Bytes born in any job up to `last`, or before the first, and alive."""
        return int(self._library.tagger_total(last))

    def dump(self, path: Path) -> None:
        """Write the recorded blocks that live, who points to whom, and their stacks (`leaks.roots` reads it)."""
        self._library.tagger_dump(os.fsencode(path))
