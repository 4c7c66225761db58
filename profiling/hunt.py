"""`python profiling/hunt.py FILE|MODULE:FUNCTION`: the same as `bulkhead leaks hunt`, as a script.

This folder contains scripts and is not a package, because Python 3.15 has a standard package of that name. The code is
in the package `leaks`.
"""

import sys
from pathlib import Path


def main() -> None:
    """Run the command."""
    from cli.app import main as bulkhead

    sys.argv[1:1] = ["leaks", "hunt"]
    bulkhead()


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # in place of this folder
    main()
