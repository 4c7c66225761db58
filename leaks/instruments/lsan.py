"""`lsan`: LeakSanitizer, preloaded. What nothing points to when the jobs are done, with the call that lost it.

Blocks of the warm-up are told to it as none of its business. It knows reachability, so it names roots at once; what
somebody still points to, a list that grows say, it takes for well.
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

LIMITATIONS = "It sees only what nothing points to any more, and does not look into memory mapped outside malloc."

SUPPRESSIONS = ROOT / "profiling" / "suppressions" / "lsan.supp"

# Python's small objects come from malloc, too, or pointers that lie in them would not be seen.
_PYTHON = {"PYTHONMALLOC": "malloc"}

_LEAK = re.compile(r"^(Direct|Indirect) leak of (\d+) byte\(s\) in (\d+) object\(s\) allocated from:$")
_FRAME = re.compile(r"^\s+#\d+ 0x[0-9a-f]+ (?:in (\S+) )?.*?\(?(/[^()\s]+?)\+(0x[0-9a-f]+)\)")


def hunt(run: Run) -> Report:
    """Jobs under LeakSanitizer. Raises ToolMissing."""
    log = run.output_path("lsan-report", "")
    options = f"log_path={log}:detect_leaks=1:exitcode=0:fast_unwind_on_malloc=0:malloc_context_size=24"
    if SUPPRESSIONS.exists():  # they lie beside the source, not in an installed wheel
        options += f":suppressions={SUPPRESSIONS}:print_suppressions=0"
    environment = {"LD_PRELOAD": find_runtime(), "LSAN_OPTIONS": options, **_PYTHON}
    for earlier in run.out.glob(f"{log.name}.*"):  # of a hunt that had the same folder: named after its process
        earlier.unlink()
    run.run_child("lsan", NAME, environment=environment)
    files = sorted(run.out.glob(f"{log.name}.*"))
    lost = [each for file in files for each in parse(file.read_text(errors="replace").splitlines())]
    return build_report(run, NAME, lost, files, LIMITATIONS)


def find_runtime() -> str:
    """LeakSanitizer's library. Raises ToolMissing."""
    for folder in (Path("/usr/lib64"), *Path("/usr/lib").glob("*-linux-gnu")):
        if (found := folder / "liblsan.so.0").exists():
            return str(found)
    raise ToolMissing("LeakSanitizer's runtime", "liblsan0")


def parse(lines: list[str]) -> Iterator[LostBlocks]:
    """What a report of LeakSanitizer lists."""
    current: LostBlocks | None = None
    for line in lines:
        if match := _LEAK.match(line):
            current = LostBlocks(match[1] == "Direct", int(match[2]), int(match[3]), [])
            yield current
        elif current and (match := _FRAME.match(line)):
            current.stack.append(Frame(match[1] or "", match[2], match[3]))
        elif not line.strip():
            current = None
