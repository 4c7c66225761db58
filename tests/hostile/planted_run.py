"""`python -m tests.hostile.planted_run REQUEST`: renders in which a planted library attacks; prints what came of them.

REQUEST is JSON: the path of the library, the version of Landlock, and pairs of family and stage.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyvips
from ezdxf.filemanagement import new

from cli.attack.stage import Stage, prepared_stage
from cli.attack.suite import REFUSALS
from cli.commands.render import explain_death
from tasks.errors import BulkheadError
from tasks.plan import plan
from tasks.renders import RenderOptions
from tests.engine.drawings import text_pdf
from tests.hostile.planted import ENDS, TRIGGER
from workers.render.sandboxed import ZYGOTE, RenderRequest, render_sandboxed
from workers.sandbox.attacks import ATTACKS
from workers.sandbox.attacks.attack import NOT_APPLICABLE
from workers.sandbox.reports import Progress
from workers.sandbox.runner import ProcessDied, run
from workers.sandbox.watch import Limits
from workers.sandbox.zygote import Zygote

FAMILIES = ("svg", "pdf", "dxf", "tif", "png", "jpg", "webp")

# How the library ends the render at each stage, and the end that the trusted side must see.
FINALES = {
    "plan": ("planted_crash", "native-crash"),
    "open": ("planted_abort", "native-crash"),
    "draw": ("planted_allocate", "out-of-memory"),
    "compose": ("planted_pretend_success", "invalid-output"),
    "encode": ("planted_spin", "time-limit"),
    "tiles": ("planted_fill_disk", "quota-exceeded"),
    "manifest": ("planted_foreign_file", "invalid-output"),
}

MEMORY_LIMIT = 512 * 1024**2
LIMITS = Limits(memory=MEMORY_LIMIT, cpu=3.0, idle=20.0, wall=120.0, disk=64 * 1024**2)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="900" height="600"><text x="30" y="200">Pump</text></svg>'


@dataclass(frozen=True)
class Case:
    """What came of one render: how it ended, what got through, and whether a neighbour noticed."""

    family: str
    stage: str
    end: str
    story: str
    escapes: list[str]
    attacks: int
    neighbour_is_same: bool


def main(request: str) -> None:
    """Run all cases and print them, with what changed outside."""
    wanted = json.loads(request)
    with prepared_stage(Path("/tmp")) as stage:
        before = stage.snapshot()
        library = _build(stage.folder / "jobs", wanted["library"])
        options = replace(
            ZYGOTE,
            preload=(*ZYGOTE.preload, "tests.hostile.planted:plant"),
            read=(library,),
            abi=wanted["abi"],
        )
        zygote = Zygote(options)
        try:
            cases = [_Render(stage, zygote, family).attack(name) for family, name in wanted["cases"]]
        finally:
            zygote.close()
        result = {"cases": [asdict(case) for case in cases], "connections": stage.connections()}
        result["is_unchanged"] = stage.snapshot() == before
    print(json.dumps(result))


def _build(folder: Path, source: str) -> Path:
    """Compile the library, and write the module that names it."""
    target = folder / "library"
    target.mkdir()
    library = target / "planted.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-w", "-o", str(library), source], check=True)
    (target / "planted_library.py").write_text(f"PATH = {str(library)!r}\n")
    sys.path.insert(0, str(target))
    return target


class _Render:
    """Renders of one family, in a directory of its own each."""

    def __init__(self, stage: Stage, zygote: Zygote, family: str) -> None:
        self._stage, self._zygote, self._family = stage, zygote, family
        self._source = stage.folder / "jobs" / f"drawing.{family}"
        if not self._source.exists():
            _draw(self._source)

    def attack(self, stage: str) -> Case:
        """Render with an attack at `stage`, while the same drawing is rendered beside it."""
        clean = self._render(None)
        with ThreadPoolExecutor() as pool:
            beside = pool.submit(self._render, None)
            end, story, found = self._render(stage)
            same = beside.result() == clean and clean[0] == "succeeded"
        ends = found.get("ends", {})
        escapes = found.get("escapes", ["the library was not loaded"]) + [
            f"{attack.name}: {ends.get(attack.name)}"
            for attack in ATTACKS
            if not attack.alone and ends.get(attack.name) not in attack.ends | REFUSALS | {NOT_APPLICABLE}
        ]
        return Case(self._family, stage, end, story, escapes, len(ends), same)

    def _render(self, stage: str | None) -> tuple[str, str, dict[str, Any]]:
        """The end of a render, the story or the digest of its outputs, and what the library left."""
        last = [Progress(percent=0, stage="")]
        options = RenderOptions(width=256, tiles=True)
        request = RenderRequest(self._source, options, plan(self._source, tiles=True), _digest(self._source))
        with self._stage.job() as scene:
            if stage is not None:
                trigger = {"stage": stage, "finale": FINALES[stage][0], "scene": scene.as_dict()}
                (scene.work / TRIGGER).write_text(json.dumps(trigger))
            on_progress: Callable[[Progress], None] = lambda progress: last.__setitem__(0, progress)  # noqa: E731
            try:
                rendered = render_sandboxed(
                    lambda job: run(self._zygote, job, LIMITS, on_progress=on_progress), request, scene.work
                )
                end, story = "succeeded", _digest(*sorted(path for path in rendered.out.rglob("*") if path.is_file()))
            except ProcessDied as error:
                end, story = str(error.death.cause), explain_death(error, last[0], MEMORY_LIMIT)
            except BulkheadError as error:
                end, story = error.code, error.message
            left = scene.work / ENDS
            return end, story, json.loads(left.read_text()) if left.exists() else {}


def _draw(path: Path) -> None:
    if path.suffix == ".svg":
        path.write_text(SVG)
    elif path.suffix == ".pdf":
        text_pdf(path)
    elif path.suffix == ".dxf":
        document = new("R2010")
        document.modelspace().add_line((0, 0), (100, 50))
        document.saveas(path)
    else:
        image = pyvips.Image.xyz(1200, 800).extract_band(0).cast("uchar")
        image.write_to_file(str(path))


def _digest(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    os.umask(0o022)
    main(sys.argv[1])
