"""`python -m workers.render SOURCE OUT OPTIONS NICENESS`: one render in a process of its own.

`bulkhead render` starts and fences it. OPTIONS is RenderOptions as JSON. Writes JSON objects, one a line, on
standard output: steps `{"percent", "stage", "layer"}`, and `{"code", "message"}` if it fails. Exit code 0 done,
1 the blueprint cannot be rendered, 3 this machine cannot render.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tasks.renders import RenderOptions
from workers.render import BlueprintError, EngineError, Step, render
from workers.sandbox.limits import apply_limits

DONE, FAILED, ENGINE_UNAVAILABLE = 0, 1, 3


def main(source: str, out: str, options: str, niceness: str) -> int:
    """Render, reporting on the way; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    apply_limits(niceness=int(niceness))
    reports = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever native code prints is no report

    def report(fields: dict[str, Any]) -> None:
        os.write(reports, json.dumps(fields).encode() + b"\n")

    def tell(step: Step) -> None:
        report({"percent": step.percent, "stage": step.stage, "layer": step.layer})

    try:
        render(Path(source), Path(out), RenderOptions.model_validate_json(options), progress=tell)
    except BlueprintError as error:
        report({"code": error.code, "message": error.message})
        return FAILED
    except EngineError as error:
        report({"code": "engine", "message": str(error)})
        return ENGINE_UNAVAILABLE
    except MemoryError:
        report({"code": "out-of-memory", "message": "The drawing needs more memory than a render may take."})
        return FAILED
    except Exception as error:
        report({"code": "internal", "message": f"The renderer met an unexpected {type(error).__name__}."})
        raise
    return DONE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
