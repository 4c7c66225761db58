"""`python profiling/hunt.py FILE|MODULE:FUNCTION`: what `bulkhead leaks hunt` does, as a script of its own.

This folder holds scripts and is no package: Python 3.15 has a standard one of that name. What they import is `leaks`.
"""

import sys
from pathlib import Path


def main() -> None:
    """Run the command."""
    from cli.app import main as bulkhead

    sys.argv[1:1] = ["leaks", "hunt"]
    bulkhead()


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # in place of this folder
    main()
