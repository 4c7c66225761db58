"""`python -m benchmarks.support.render_process SCAN`: a warm engine in a separate process, like a worker's child.

Reads render options as JSON, one line per render, and prints a line of JSON for each: `seconds` of the whole call,
`tile_seconds` of the tiles stage, `peak_mb` of the process so far, `preview_bytes` and `tile_bytes`.
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tasks.renders import RenderOptions
from workers.render import Step, render


def main(scan: Path) -> None:
    """Run until the end of standard input."""
    for line in sys.stdin:
        out = Path(tempfile.mkdtemp(prefix="render-", dir=scan.parent))
        started: dict[str, float] = {}

        def on_progress(step: Step, started: dict[str, float] = started) -> None:
            started.setdefault(step.stage, time.monotonic())

        start = time.monotonic()
        manifest = render(scan, out, RenderOptions.model_validate_json(line), progress=on_progress)
        seconds = time.monotonic() - start
        answer = {
            "seconds": seconds,
            "tile_seconds": started["manifest"] - started["tiles"] if "tiles" in started else None,
            "peak_mb": peak_mb(),
            "preview_bytes": manifest.preview.bytes,
            "tile_bytes": sum(level.bytes for level in manifest.tiles.levels) if manifest.tiles else None,
        }
        print(json.dumps(answer), flush=True)
        shutil.rmtree(out)


def peak_mb() -> float:
    """The largest resident set so far. getrusage would include the process before its exec."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
