"""Disturbances of a host that kill nobody: it freezes, or something else computes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil

# Busy loops a core.
LOOPS_PER_CORE = 4

# Seconds that a frozen systemd gets to read what its units sent when they went on: watchdogs did not run meanwhile
# on a frozen host, but do here.
WATCHDOG_GRACE = 2.0


def freeze(systemd: int, seconds: float) -> None:
    """Stop every process below the process `systemd`, and itself, for some seconds."""
    root = psutil.Process(systemd)
    stopped: list[psutil.Process] = []
    _signal([root], signal.SIGSTOP)
    while new := [process for process in root.children(recursive=True) if process not in stopped]:
        _signal(new, signal.SIGSTOP)  # and the children that they forked meanwhile
        stopped += new
    time.sleep(seconds)
    _signal(stopped, signal.SIGCONT)
    time.sleep(WATCHDOG_GRACE)
    _signal([root], signal.SIGCONT)


def load(seconds: float) -> None:
    """Start busy loops that end by themselves, as children of a shell that ends at once."""
    code = f"import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
    start = f'for _ in $(seq {LOOPS_PER_CORE * (os.cpu_count() or 1)}); do "$0" -c "$1" & done'
    subprocess.run(["sh", "-c", start, sys.executable, code], check=True)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
