"""Resource usage of a process, read from the kernel."""

import os
import subprocess
import sys
from pathlib import Path

from workers.sandbox import process_stats

MIB = 1024**2


def test_given_allocated_memory_then_it_is_anonymous_until_it_is_freed() -> None:
    before = process_stats.anonymous_memory()
    ballast = bytearray(64 * MIB)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert process_stats.anonymous_memory() - before > 60 * MIB

    del ballast

    assert process_stats.anonymous_memory() - before < 16 * MIB


def test_given_a_peak_when_it_is_reset_then_it_is_the_current_size() -> None:
    ballast = bytearray(128 * MIB)
    ballast[::4096] = b"x" * len(ballast[::4096])
    high = process_stats.peak_resident_memory()
    del ballast
    assert abs(process_stats.peak_resident_memory() - high) < MIB  # the kernel counts in batches

    assert process_stats.reset_peak()

    assert high - process_stats.peak_resident_memory() > 100 * MIB


def test_given_no_permission_when_the_peak_is_reset_then_false_is_returned(tmp_path: Path) -> None:
    assert not process_stats.reset_peak(str(tmp_path / "absent"))


def test_given_an_open_file_then_its_descriptor_is_counted() -> None:
    before = process_stats.open_descriptors()
    with Path(os.devnull).open():
        assert process_stats.open_descriptors() == before + 1
    assert process_stats.open_descriptors() == before


def test_given_files_of_proc_then_they_are_parsed(tmp_path: Path) -> None:
    (tmp_path / "statm").write_text("9000 700 200 1 0 400 0\n")
    (tmp_path / "status").write_text("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n")
    (tmp_path / "fd").mkdir()
    for number in range(5):
        (tmp_path / "fd" / str(number)).touch()

    proc = str(tmp_path)

    assert process_stats.anonymous_memory(proc) == 500 * os.sysconf("SC_PAGE_SIZE")
    assert process_stats.resident_memory(proc) == 700 * os.sysconf("SC_PAGE_SIZE")
    assert process_stats.peak_resident_memory(proc) == 2 * MIB
    assert process_stats.open_descriptors(proc) == 4


def test_given_a_wand_that_is_never_destroyed_then_its_pixels_are_counted_once_imagemagick_runs() -> None:
    script = """
from workers.sandbox import process_stats
assert process_stats.imagemagick_usage() == {}
from wand.api import library
from wand.image import Image
assert process_stats.imagemagick_usage() == {}, "loaded, but not started"
with Image(width=200, height=150, background="red") as image:
    before = process_stats.imagemagick_usage()["memory"]
    library.CloneMagickWand(image.wand)
    image.evaluate("add", 1)
    image.make_blob("png")
assert process_stats.imagemagick_usage()["map"] == process_stats.imagemagick_usage()["disk"] == 0
print(process_stats.imagemagick_usage()["memory"])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "WAND_MAGICK_LIBRARY_SUFFIX": "-6.Q16"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 200 * 150 * 8
