"""`memcheck`: Valgrind's leak check of every block at the end. The slowest and the surest."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from leaks.instruments.reachability import LostBlocks, build_report
from leaks.instruments.valgrind import ENVIRONMENT, SUPPRESSIONS, valgrind_command
from leaks.report import Report
from leaks.roots import Frame
from leaks.run import Run

NAME = "memcheck"

LIMITATIONS = "It sees only what nothing points to any more. Jobs run twenty to sixty times slower."

# Undefined values are another hunt, and cost half the time.
FLAGS = (
    *("--leak-check=full", "--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite"),
    *("--undef-value-errors=no", "--num-callers=32", "--xml=yes"),
)

_KINDS = {"Leak_DefinitelyLost": True, "Leak_IndirectlyLost": False}


def hunt(run: Run) -> Report:
    """Jobs under memcheck. Raises ToolMissing."""
    xml = run.output_path(NAME, ".xml")
    before = [*valgrind_command("memcheck"), *FLAGS, f"--xml-file={xml}"]
    if (python := SUPPRESSIONS / "python.supp").exists():
        before += [f"--suppressions={python}", f"--suppressions={SUPPRESSIONS / 'imagemagick.supp'}"]
    run.run_child("nobody", NAME, command_prefix=before, environment=ENVIRONMENT)
    return build_report(run, NAME, list(parse(xml)), [xml], LIMITATIONS)


def parse(xml: Path) -> Iterator[LostBlocks]:
    """What memcheck's XML lists as lost."""
    for error in ET.parse(xml).getroot().iter("error"):  # noqa: S314 -- our own valgrind wrote it
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
