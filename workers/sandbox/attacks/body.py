"""The hostile code itself, as the body of a sandboxed process and as a helper program."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.sandbox.attacks import ATTACKS, PROGRAM_ATTACKS
from workers.sandbox.attacks.attack import Scene

# The file in which a helper program leaves the ends of its attacks.
ENDS = "ends.json"

# A helper program may not list the directory of our packages, so the import system does not find them.
_PROGRAM = """
import sys, types
package = sys.modules["workers"] = types.ModuleType("workers")
package.__path__ = [sys.argv[1]]
from workers.sandbox.attacks.body import main
main()
"""


def attack_body(arguments: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Run the `attacks` of these names in the `scene`. Returns the end of each."""
    report({"percent": 1, "stage": "attack"})
    scene = Scene.from_dict(arguments["scene"])
    wanted = frozenset(arguments["attacks"])
    return {attack.name: attack.run(scene) for attack in ATTACKS if attack.name in wanted}


def program(scene: Scene, names: Sequence[str]) -> tuple[str, ...]:
    """The command of a helper program that runs the attacks of these names."""
    arguments = json.dumps({"scene": scene.as_dict(), "attacks": names})
    return (sys.executable, "-P", "-c", _PROGRAM, str(Path(__file__).parents[2]), arguments)


def main() -> None:
    """Attack as a helper program, and leave the ends in the working directory."""
    arguments = json.loads(sys.argv[2])
    scene = Scene.from_dict(arguments["scene"])
    wanted = frozenset(arguments["attacks"])
    ends = {attack.name: attack.run(scene) for attack in PROGRAM_ATTACKS if attack.name in wanted}
    (scene.work / ENDS).write_text(json.dumps(ends))
