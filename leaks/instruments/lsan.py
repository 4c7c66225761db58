"""`lsan`: preloaded LeakSanitizer. It reports blocks that nothing points to after the jobs, with their stacks.

Blocks of the warm-up are excluded. It works by reachability, so it names roots directly, but it does not report memory
that is still pointed to, such as a list that grows.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from leaks.errors import ToolMissing
from leaks.instruments.reachability import LostBlocks, build_report
from leaks.report import Report
from leaks.roots import Frame
from leaks.run import ROOT, Run

NAME = "lsan"

LIMITATIONS = "It sees only memory that nothing points to, and does not scan memory mapped outside malloc."

SUPPRESSIONS = ROOT / "profiling" / "suppressions" / "lsan.supp"

# Python's small objects must come from malloc too, or LeakSanitizer does not see the pointers in them.
_PYTHON = {"PYTHONMALLOC": "malloc"}

_LEAK = re.compile(r"^(Direct|Indirect) leak of (\d+) byte\(s\) in (\d+) object\(s\) allocated from:$")
_FRAME = re.compile(r"^\s+#\d+ 0x[0-9a-f]+ (?:in (\S+) )?.*?\(?(/[^()\s]+?)\+(0x[0-9a-f]+)\)")


def hunt(run: Run) -> Report:
    """Run the jobs with LeakSanitizer. Raises ToolMissing."""
    log = run.output_path("lsan-report", "")
    options = f"log_path={log}:detect_leaks=1:exitcode=0:fast_unwind_on_malloc=0:malloc_context_size=24"
    if SUPPRESSIONS.exists():  # they are part of the source tree, not of an installed wheel
        options += f":suppressions={SUPPRESSIONS}:print_suppressions=0"
    environment = {"LD_PRELOAD": find_runtime(), "LSAN_OPTIONS": options, **_PYTHON}
    for earlier in run.out.glob(f"{log.name}.*"):  # of an earlier hunt in the same folder; the suffix is a process id
        earlier.unlink()
    run.run_child("lsan", NAME, environment=environment)
    files = sorted(run.out.glob(f"{log.name}.*"))
    lost = [each for file in files for each in parse(file.read_text(errors="replace").splitlines())]
    return build_report(run, NAME, lost, files, LIMITATIONS)


def find_runtime() -> str:
    """The path of LeakSanitizer's library. Raises ToolMissing."""
    for folder in (Path("/usr/lib64"), *Path("/usr/lib").glob("*-linux-gnu")):
        if (library := folder / "liblsan.so.0").exists():
            return str(library)
    raise ToolMissing("LeakSanitizer's runtime", "liblsan0")


def parse(lines: list[str]) -> Iterator[LostBlocks]:
    """Parse a report of LeakSanitizer."""
    current: LostBlocks | None = None
    for line in lines:
        if match := _LEAK.match(line):
            current = LostBlocks(match[1] == "Direct", int(match[2]), int(match[3]), [])
            yield current
        elif current and (match := _FRAME.match(line)):
            current.stack.append(Frame(match[1] or "", match[2], match[3]))
        elif not line.strip():
            current = None
