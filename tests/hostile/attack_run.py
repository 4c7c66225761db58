"""`python -m tests.hostile.attack_run ABI`: attacks the sandbox with this version of Landlock; prints the verdicts."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from cli.attack.stage import prepared_stage
from cli.attack.suite import Suite
from workers.render.sandboxed import ZYGOTE

if __name__ == "__main__":
    with prepared_stage(Path("/tmp")) as stage:
        verdicts = Suite(stage, replace(ZYGOTE, abi=int(sys.argv[1]))).run()
    print(json.dumps([asdict(verdict) for verdict in verdicts]))
