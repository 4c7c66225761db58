"""The watchdog of a server process of the web tier."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from web.watchdog import run_watchdog

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import asyncio, time
from web.watchdog import run_watchdog

async def main():
    task = asyncio.create_task(run_watchdog())
    await asyncio.sleep({healthy})
    time.sleep({hanging})
    task.cancel()

asyncio.run(main())
"""


def run(healthy: float, hanging: float) -> subprocess.CompletedProcess[str]:
    """Run an event loop that works and then hangs, for so many seconds, under a watchdog of 0.6 s."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(healthy=healthy, hanging=hanging)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "WATCHDOG_USEC": "600000"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_given_an_event_loop_that_hangs_then_the_process_ends_and_its_log_says_where() -> None:
    result = run(healthy=0, hanging=20)

    assert result.returncode == 1
    assert "Timeout (0:00:00.600000)!" in result.stderr
    assert "in main" in result.stderr


def test_given_an_event_loop_that_runs_then_the_process_goes_on_after_the_watchdogs_time() -> None:
    assert run(healthy=1.5, hanging=0).returncode == 0


def test_given_a_unit_without_a_watchdog_then_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)

    asyncio.run(asyncio.wait_for(run_watchdog(), 5))
