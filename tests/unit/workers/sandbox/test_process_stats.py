"""What a process holds, read from the kernel."""

import os
import subprocess
import sys
from pathlib import Path

from workers.sandbox import process_stats

MIB = 1024**2


def test_memory_that_is_taken_shows_as_live_and_is_gone_when_it_is_dropped() -> None:
    before = process_stats.anonymous_memory()
    held = bytearray(64 * MIB)
    held[::4096] = b"x" * len(held[::4096])
    assert process_stats.anonymous_memory() - before > 60 * MIB

    del held

    assert process_stats.anonymous_memory() - before < 16 * MIB


def test_the_peak_can_be_started_anew() -> None:
    held = bytearray(128 * MIB)
    held[::4096] = b"x" * len(held[::4096])
    high = process_stats.peak_resident_memory()
    del held
    assert abs(process_stats.peak_resident_memory() - high) < MIB  # the kernel counts in batches

    assert process_stats.reset_peak()

    assert high - process_stats.peak_resident_memory() > 100 * MIB


def test_without_leave_to_start_the_peak_anew_it_says_so(tmp_path: Path) -> None:
    assert not process_stats.reset_peak(str(tmp_path / "absent"))


def test_a_file_left_open_is_counted() -> None:
    before = process_stats.open_descriptors()
    with Path(os.devnull).open():
        assert process_stats.open_descriptors() == before + 1
    assert process_stats.open_descriptors() == before


def test_processor_time_is_read_in_seconds() -> None:
    before = process_stats.read().cpu
    sum(range(300_000))
    assert 0 < process_stats.read().cpu - before < 5


def test_the_kernels_own_words_are_read(tmp_path: Path) -> None:
    (tmp_path / "statm").write_text("9000 700 200 1 0 400 0\n")
    (tmp_path / "status").write_text("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n")
    (tmp_path / "fd").mkdir()
    for number in range(5):
        (tmp_path / "fd" / str(number)).touch()

    reading = process_stats.read(str(tmp_path))

    assert reading.anonymous == 500 * os.sysconf("SC_PAGE_SIZE")
    assert (reading.peak, reading.descriptors) == (2 * MIB, 4)


def test_imagemagick_is_asked_only_where_it_runs_and_a_wand_that_is_never_destroyed_shows() -> None:
    script = """
from workers.sandbox import process_stats
assert process_stats.magick() == {}
from wand.api import library
from wand.image import Image
assert process_stats.magick() == {}, "loaded, but not started"
with Image(width=200, height=150, background="red") as image:
    before = process_stats.magick()["memory"]
    library.CloneMagickWand(image.wand)
    image.evaluate("add", 1)
    image.make_blob("png")
assert process_stats.read().spilled == 0
print(process_stats.magick()["memory"])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "WAND_MAGICK_LIBRARY_SUFFIX": "-6.Q16"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 200 * 150 * 8
