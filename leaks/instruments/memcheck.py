"""`memcheck`: Valgrind's leak check of all blocks at the end. The slowest and most reliable instrument."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from leaks.instruments.reachability import LostBlocks, build_report
from leaks.instruments.valgrind import ENVIRONMENT, SUPPRESSIONS, valgrind_command
from leaks.report import Report
from leaks.roots import Frame
from leaks.run import Run

NAME = "memcheck"

LIMITATIONS = "It sees only memory that nothing points to. Jobs run twenty to sixty times slower."

# Undefined values are another kind of bug, and checking them takes half of the time.
FLAGS = (
    *("--leak-check=full", "--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite"),
    *("--undef-value-errors=no", "--num-callers=32", "--xml=yes"),
)

_KINDS = {"Leak_DefinitelyLost": True, "Leak_IndirectlyLost": False}


def hunt(run: Run) -> Report:
    """Run the jobs with memcheck. Raises ToolMissing."""
    xml = run.output_path(NAME, ".xml")
    before = [*valgrind_command("memcheck"), *FLAGS, f"--xml-file={xml}"]
    if (python := SUPPRESSIONS / "python.supp").exists():
        before += [f"--suppressions={python}", f"--suppressions={SUPPRESSIONS / 'imagemagick.supp'}"]
    run.run_child("none", NAME, command_prefix=before, environment=ENVIRONMENT)
    return build_report(run, NAME, list(parse(xml)), [xml], LIMITATIONS)


def parse(xml: Path) -> Iterator[LostBlocks]:
    """Parse the leaks in memcheck's XML."""
    for error in ET.parse(xml).getroot().iter("error"):  # noqa: S314 -- written by our own valgrind
        kind = error.findtext("kind", "")
        if kind in _KINDS:
            frames = error.find("stack")
            yield LostBlocks(
                _KINDS[kind],
                int(error.findtext("xwhat/leakedbytes", "0")),
                int(error.findtext("xwhat/leakedblocks", "0")),
                [_frame(each) for each in (frames if frames is not None else ())],
            )


def _frame(frame: ET.Element) -> Frame:
    return Frame(frame.findtext("fn", ""), frame.findtext("obj", ""), frame.findtext("ip", ""))
