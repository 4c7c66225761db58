"""Shared by memcheck and massif: the command line of Valgrind."""

import shutil

from leaks.errors import ToolMissing
from leaks.run import ROOT

# Python's small objects come from malloc, so that Valgrind sees each of them.
ENVIRONMENT = {"PYTHONMALLOC": "malloc"}

SUPPRESSIONS = ROOT / "profiling" / "suppressions"


def valgrind_command(tool: str) -> list[str]:
    """The beginning of a command line. Raises ToolMissing."""
    program = shutil.which("valgrind")
    if program is None:
        raise ToolMissing("valgrind", "valgrind libc6-dbg")
    return [program, f"--tool={tool}", "--quiet"]
