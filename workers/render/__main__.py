"""`python -m workers.render SOURCE OUT OPTIONS NICENESS`: one render in its own process.

`bulkhead render` starts it in the sandbox. OPTIONS is RenderOptions as JSON. Prints one JSON object per line: steps
`{"percent", "stage", "layer"}`, and `{"code", "message"}` if the render fails. Exit code 0: done, 1: the blueprint
cannot be rendered, 3: this machine cannot render.
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
    """Render and print reports. Returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    apply_limits(niceness=int(niceness))
    reports = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keeps output of native code out of the reports

    def write_report(fields: dict[str, Any]) -> None:
        os.write(reports, json.dumps(fields).encode() + b"\n")

    def on_progress(step: Step) -> None:
        write_report({"percent": step.percent, "stage": step.stage, "layer": step.layer})

    try:
        render(Path(source), Path(out), RenderOptions.model_validate_json(options), progress=on_progress)
    except BlueprintError as error:
        write_report({"code": error.code, "message": error.message})
        return FAILED
    except EngineError as error:
        write_report({"code": error.code, "message": error.message})
        return ENGINE_UNAVAILABLE
    except MemoryError:
        write_report(
            {
                "code": "out-of-memory",
                "message": "The drawing needs more memory than a render may use. Choose a smaller width, or split "
                "the drawing.",
            }
        )
        return FAILED
    except Exception as error:
        message = f"The renderer failed with an unexpected {type(error).__name__}."
        write_report({"code": "internal-error", "message": message})
        raise
    return DONE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
