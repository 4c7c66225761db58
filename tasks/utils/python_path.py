"""Starting Python processes that import our modules, whatever the current directory holds."""

import os
from collections.abc import Mapping
from pathlib import Path

# The directory that holds `tasks`, `workers`, `web` and `cli`.
ROOT = Path(__file__).resolve().parents[2]


def safe_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`environment`, changed so that Python looks for modules here first and not in the current directory.

    A user's own tasks.py there would hide our package: `python -m` puts the current directory first otherwise.
    """
    path = [str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"}
