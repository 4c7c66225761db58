"""The process that renders damaged files, one after the other, and may die. `harness` starts and supervises it.

One JSON object a line: `{"source", "out", "options", "streamed"}` in, `{"outcome", "code", "detail"}` out.
"""

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks import plan as planning
from tasks.plan.dxf import MAX_IN_MEMORY_BYTES
from tasks.renders import RenderOptions
from workers.render import BlueprintError, Step, render
from workers.render.manifest import Manifest
from workers.render.vector.reader import document
from workers.sandbox.confinement.limits import apply_limits

MEMORY_LIMIT = 512 * 1024**2

REFUSED, ENGINE, RENDERED, DEFECT = "refused at plan", "refused by engine", "rendered", "unexpected exception"

# Bytes before the DXF of a DWG seed.
DWG_HEADER = 7

# Reported frames of a traceback.
FRAMES = 6


class BadManifestError(Exception):
    """The manifest of a successful render does not match its files."""


def main() -> None:
    """Render each job on standard input until its end."""
    apply_limits(niceness=0)
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # Large temporary files must be in the folder that is checked for leftovers.
    tempfile.tempdir = tempfile.gettempdir()
    os.write(output, b"{}\n")
    for line in sys.stdin:
        job = json.loads(line)
        vars(document)["MAX_IN_MEMORY_BYTES"] = 0 if job["streamed"] else MAX_IN_MEMORY_BYTES
        os.write(output, json.dumps(_render(job)).encode() + b"\n")


def _render(job: dict[str, Any]) -> dict[str, Any]:
    source, out = Path(job["source"]), Path(job["out"])
    options = RenderOptions.model_validate(job["options"])
    began = time.perf_counter()
    try:
        try:
            plan = planning.plan(source, width=options.width, tiles=options.tiles)
            planning.check_memory_limit(plan, MEMORY_LIMIT)
        except planning.PlanError as error:
            return {"outcome": REFUSED, "code": error.code, "planned": time.perf_counter() - began}
        planned = time.perf_counter() - began
        try:
            with _converted(source, plan) as drawing:
                render(drawing, out, options, progress=_check_encodable, plan=plan)
        except BlueprintError as error:
            error.message.encode()
            return {"outcome": ENGINE, "code": error.code, "planned": planned}
        except MemoryError:
            return {"outcome": ENGINE, "code": "out-of-memory", "planned": planned}
        _check_manifest(out)
    except Exception as error:  # noqa: BLE001 - reported as a finding
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
        where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
        return {"outcome": DEFECT, "code": type(error).__name__, "detail": f"{str(error)[:200]} at {where}"}
    return {"outcome": RENDERED, "code": "", "planned": planned}


@contextmanager
def _converted(source: Path, plan: planning.Plan) -> Iterator[Path]:
    """Stands in for a DWG converter: removes the header that `seeds` puts before a DXF drawing."""
    if plan.format != "dwg":
        yield source
        return
    with tempfile.NamedTemporaryFile(suffix=".dxf") as file:
        file.write(source.read_bytes()[DWG_HEADER:])
        file.flush()
        yield Path(file.name)


def _check_encodable(step: Step) -> None:
    """Raise UnicodeError for text that cannot be sent."""
    step.layer.encode()


def _check_manifest(out: Path) -> None:
    """Raise BadManifestError if the manifest is not valid JSON, or does not list exactly the files that exist."""

    def refuse(constant: str) -> None:
        raise BadManifestError(f"{constant} is not JSON")

    text = (out / "manifest.json").read_text()
    json.loads(text, parse_constant=refuse)
    manifest = Manifest.model_validate_json(text)
    sets = [tiles for tiles in (manifest.tiles, *(layer.tiles for layer in manifest.layers)) if tiles]
    listed = {"manifest.json", manifest.preview.file, *(tiles.file for tiles in sets)}
    listed |= {layer.file for layer in manifest.layers if layer.file}
    paths = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    files = {str(path) for path in paths if not any(part.endswith("_files") for part in path.parts)}
    if files != listed:
        raise BadManifestError(f"files {sorted(files ^ listed)[:5]}")


if __name__ == "__main__":
    main()
