"""The recorded peak is that of the process itself, not of its parent."""

import subprocess
import sys

from workers.sandbox.process_stats import peak_resident_memory

BALLAST = 384 * 1024**2
CHILD = "from workers.sandbox.process_stats import peak_resident_memory; print(peak_resident_memory())"


def test_given_a_large_parent_when_a_program_starts_then_its_peak_excludes_the_parent() -> None:
    ballast = bytearray(b"x") * BALLAST

    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)

    assert peak_resident_memory() >= len(ballast)
    assert 8 * 1024**2 < int(child.stdout) < BALLAST // 2
