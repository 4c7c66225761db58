"""`python -m benchmarks.support.render_process SCAN`: a warm engine in a process of its own, as a worker's child is.

Reads render options as JSON, one line a render, and answers each with a line of JSON: `seconds` of the whole call,
`tile_seconds` of the stage that cuts tiles, `peak_mb` of this process so far, `preview_bytes` and `tile_bytes`.
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
    """Serve until standard input ends."""
    for line in sys.stdin:
        out = Path(tempfile.mkdtemp(prefix="render-", dir=scan.parent))
        began: dict[str, float] = {}

        def note(step: Step, began: dict[str, float] = began) -> None:
            began.setdefault(step.stage, time.monotonic())

        start = time.monotonic()
        manifest = render(scan, out, RenderOptions.model_validate_json(line), progress=note)
        seconds = time.monotonic() - start
        answer = {
            "seconds": seconds,
            "tile_seconds": began["manifest"] - began["tiles"] if "tiles" in began else None,
            "peak_mb": peak_mb(),
            "preview_bytes": manifest.preview.bytes,
            "tile_bytes": sum(level.bytes for level in manifest.tiles.levels) if manifest.tiles else None,
        }
        print(json.dumps(answer), flush=True)
        shutil.rmtree(out)


def peak_mb() -> float:
    """Largest resident set so far. (getrusage would count what this process was before it was this program.)"""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
