"""Plants a native library in the zygote. A render loads it when it reaches a stage, if its directory has a trigger.

The zygote calls `plant`. The module `planted_library`, which the test writes, has the path of the library.
"""

import ctypes
import json
from pathlib import Path
from typing import Any

from workers.render.progress import ProgressReporter
from workers.sandbox.attacks import ATTACKS
from workers.sandbox.attacks.attack import Scene

TRIGGER, ENDS = "trigger.json", "planted.json"


def plant() -> None:
    """Load the library when the stage of the trigger is reported."""
    import planted_library  # type: ignore[import-not-found] # written by the test

    library_path: str = planted_library.PATH
    original = ProgressReporter.update

    def update(self: ProgressReporter, stage: Any, *arguments: Any) -> None:
        original(self, stage, *arguments)
        path = Path(TRIGGER)
        if path.exists():
            trigger = json.loads(path.read_text())
            if trigger["stage"] == stage and not Path(ENDS).exists():
                _attack(ctypes.CDLL(library_path), trigger)

    ProgressReporter.update = update  # type: ignore[method-assign, assignment]


def _attack(library: ctypes.CDLL, trigger: dict[str, Any]) -> None:
    scene = Scene.from_dict(trigger["scene"])
    ends: dict[str, str] = {}

    def run_all() -> None:
        ends.update({attack.name: attack.run(scene) for attack in ATTACKS if not attack.alone})

    library.planted_escapes.restype = ctypes.c_char_p
    library.planted_run(ctypes.CFUNCTYPE(None)(run_all))
    escapes = library.planted_escapes().decode().split(";")[:-1]
    Path(ENDS).write_text(json.dumps({"escapes": escapes, "ends": ends}))
    getattr(library, trigger["finale"])()
