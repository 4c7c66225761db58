"""Processes that outlived a supervisor which was killed: found by the mark in their environment, and ended."""

from contextlib import suppress
from pathlib import Path

import psutil

from cli.embedded.process import SUPERVISOR_VARIABLE, supervisor_id

# Seconds that a killed process may take to disappear.
KILL_TIMEOUT = 5


def kill_orphans(logs: Path) -> list[int]:
    """Kill every process that the supervisor whose logs are in `logs` left behind. Returns their ids."""
    mark = supervisor_id(logs)
    left = [process for process in psutil.process_iter() if _supervisor_id_of(process) == mark]
    for process in left:
        with suppress(psutil.NoSuchProcess):  # one ends with the other
            process.kill()
    psutil.wait_procs(left, timeout=KILL_TIMEOUT)
    return [process.pid for process in left]


def _supervisor_id_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(SUPERVISOR_VARIABLE)
    except psutil.Error:
        return None
