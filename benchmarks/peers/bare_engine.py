"""The bare engine in a warm process: reads paths of drawings line by line, and prints the seconds of each render.

`python -m benchmarks.peers.bare_engine FOLDER`, with the CPU priority and limits of a worker's child.
"""

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.support.drawings import WIDTH
from tasks.renders import RenderOptions
from tasks.settings import settings
from workers.render import render
from workers.sandbox.confinement.limits import apply_limits


def main() -> None:
    """Run until the end of the input."""
    apply_limits(niceness=settings().child_niceness)
    for line in sys.stdin:
        with tempfile.TemporaryDirectory(dir=sys.argv[1]) as out:
            started = time.perf_counter()
            render(Path(line.strip()), Path(out), RenderOptions(width=WIDTH))
            print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
