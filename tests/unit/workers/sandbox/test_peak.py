"""The peak that a job records is its own process's."""

import subprocess
import sys

from workers.sandbox.process_stats import peak_resident_memory

BALLAST = 384 * 1024**2
CHILD = "from workers.sandbox.process_stats import peak; print(peak())"


def test_given_a_parent_that_was_large_when_a_program_is_started_then_its_peak_is_its_own() -> None:
    ballast = bytearray(b"x") * BALLAST

    ended = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)

    assert peak_resident_memory() >= len(ballast)
    assert 8 * 1024**2 < int(ended.stdout) < BALLAST // 2
