"""Orphans: processes that outlived a killed supervisor. They are found by a variable in their environment."""

from contextlib import suppress
from pathlib import Path

import psutil

from cli.embedded.process import SUPERVISOR_VARIABLE, supervisor_id

# Seconds to wait for killed processes to disappear.
KILL_TIMEOUT = 5


def kill_orphans(logs: Path) -> list[int]:
    """Kill every process of an earlier supervisor with the same log directory. Returns their process ids."""
    supervisor = supervisor_id(logs)
    orphans = [process for process in psutil.process_iter() if _supervisor_id_of(process) == supervisor]
    for process in orphans:
        with suppress(psutil.NoSuchProcess):  # killing one may end others
            process.kill()
    psutil.wait_procs(orphans, timeout=KILL_TIMEOUT)
    return [process.pid for process in orphans]


def _supervisor_id_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(SUPERVISOR_VARIABLE)
    except psutil.Error:
        return None
