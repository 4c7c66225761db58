"""psleak and pytest-memray on the planted corpus: one process per job, used as their documentation recommends."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.support.services import ROOT
from leaks.verdict import VerdictKind
from tests.leaks.corpus import CASES

# The kinds of verdict that these tools can detect: memory that is not freed.
MEMORY = {VerdictKind.LEAK, VerdictKind.SPILL, VerdictKind.PYTHON}

# Jobs that these tools cannot run, because they do not expect exceptions.
_SKIPPED = {"raises"}

_PSLEAK = """
import unittest
from psleak import MemoryLeakTestCase
from tests.leaks.planted import {name} as job
class Test(MemoryLeakTestCase):
    def test_job(self):
        self.execute(job)
"""

_MEMRAY = """
import pytest
from tests.leaks.planted import {name} as job
@pytest.mark.limit_leaks("100 KB")
def test_job():
    for _ in range(50):
        job()
"""

_TOOLS = {
    "psleak": (_PSLEAK, ["-m", "unittest"]),
    "pytest-memray": (
        _MEMRAY,
        ["-m", "pytest", "-q", "--memray", "--native", "-p", "no:cacheprovider", "-c", os.devnull],
    ),
}

# psleak skips its test without these variables.
_ENVIRONMENT = {"psleak": {"PYTHONMALLOC": "malloc", "PYTHONUNBUFFERED": "1"}, "pytest-memray": {}}

TIMEOUT = 120


def run_tools(report: Callable[[str], None]) -> dict[str, dict[str, int]]:
    """Count hits, misses and false alarms of each tool."""
    counts = {}
    for peer, (text, argv) in _TOOLS.items():
        hits = misses = alarms = 0
        for case in CASES:
            if case.name not in _SKIPPED:
                detected = _reports_leak(text.format(name=case.name), argv, _ENVIRONMENT[peer])
                hits += detected and case.kind in MEMORY
                misses += not detected and case.kind in MEMORY
                alarms += detected and case.kind in {VerdictKind.CLEAN, VerdictKind.GROWTH}
        counts[peer] = {"hits": hits, "misses": misses, "false_alarms": alarms}
        report(f"{peer}: {counts[peer]}")
    return counts


def _reports_leak(text: str, argv: list[str], more: dict[str, str]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "test_job.py")
        file.write_text(text)
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", **more}
        name = file.stem if "unittest" in argv else str(file)
        try:
            answer = subprocess.run(
                [sys.executable, *argv, name],
                cwd=folder,
                env=environment,
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    return answer.returncode != 0
