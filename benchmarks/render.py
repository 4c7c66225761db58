"""Previews and tiles of large scans, compared with the programs of libvips and ImageMagick.

    python -m benchmarks.render            # an A0 scan at 600 dpi: about five minutes, most of them in `convert`
    python -m benchmarks.render --huge     # 7 gigapixels in one strip, and 600 megapixels in colour, within 512 MiB

Needs Debian's libvips-tools, imagemagick-6.q16 and, for --huge, libtiff-tools. It generates the scans. The last line
of output is one JSON object. Times are medians of interleaved rounds; our engine is warm and runs in a separate
process, and peaks are resident sets of that process in MiB. `load` is the load average of the machine at the start.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support import scans
from benchmarks.support.services import ROOT, print_progress, print_result, scratch
from workers.sandbox.leaf_cgroup import Cgroup, leaf_cgroup

PREVIEW = 2048
TILE = 512
MEMORY_LIMIT = 512 * 1024**2

# Debian's policy with larger limits of width, height and disk: the default rejects a picture of this size.
CONVERT_LIMITS = {
    "memory": "256MiB",
    "map": "512MiB",
    "width": "32KP",
    "height": "32KP",
    "area": "128MP",
    "disk": "16GiB",
}

# vips dzsave with its default encoding, and with ours for line work.
DEFAULT, SAME = ".webp", ".webp[lossless,effort=0]"


class Renderer:
    """Our engine, warm in a separate process, in `cgroup` if one is given."""

    def __init__(self, scan: Path, cgroup: Cgroup | None = None) -> None:
        argv = [sys.executable, "-m", "benchmarks.support.render_process", str(scan)]
        self._process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if cgroup is not None:
            cgroup.add(self._process.pid)

    def __call__(self, **options: object) -> dict[str, Any]:
        """Render once. Raises EOFError if the process died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"width": PREVIEW, **options}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise EOFError(f"The renderer ended with status {self._process.wait()}.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@contextmanager
def running_renderer(scan: Path, cgroup: Cgroup | None = None) -> Iterator[Renderer]:
    """Run a renderer for the length of the block."""
    ours = Renderer(scan, cgroup)
    try:
        yield ours
    finally:
        ours.close()


def timed(*argv: str | Path, **environment: str) -> float:
    """Run a program. Returns its seconds. Raises CalledProcessError."""
    start = time.monotonic()
    subprocess.run(argv, check=True, env={**os.environ, **environment}, stdin=subprocess.DEVNULL)
    return time.monotonic() - start


def vipsthumbnail(scan: Path) -> float:
    """Seconds of vipsthumbnail."""
    size = f"{PREVIEW}x{PREVIEW}"
    return timed("vipsthumbnail", scan, "--size", size, "--output", scan.with_name("thumbnail.webp"))


def convert(scan: Path) -> float:
    """Seconds of ImageMagick's convert, which spills to disk."""
    limits = "".join(
        f'<policy domain="resource" name="{name}" value="{most}"/>' for name, most in CONVERT_LIMITS.items()
    )
    (scan.parent / "policy.xml").write_text(f"<policymap>{limits}</policymap>")
    target = scan.with_name("convert.webp")
    folders = {"MAGICK_CONFIGURE_PATH": str(scan.parent), "MAGICK_TEMPORARY_PATH": str(scan.parent)}
    return timed("/usr/bin/convert", scan, "-thumbnail", f"{PREVIEW}x{PREVIEW}", target, **folders)


def dzsave(scan: Path, suffix: str) -> tuple[float, int]:
    """Seconds of vips dzsave, and bytes of its tiles."""
    target = scan.with_name("dzsave")
    size = ["--tile-size", str(TILE), "--overlap", "0"]
    seconds = timed("vips", "dzsave", scan, target, *size, "--suffix", suffix)
    files = scan.with_name("dzsave_files")
    count = sum(path.stat().st_size for path in files.glob("*/*.webp"))
    shutil.rmtree(files)
    return seconds, count


def measure_a0(home: Path, rounds: int) -> dict[str, Any]:
    """Compare all programs with the A0 scan, round by round."""
    load = os.getloadavg()[0]
    scan = home / "a0.tif"
    scans.write_bilevel(scans.draw_sheet(), scan)
    print_progress(f"{scan.stat().st_size:,} bytes of G4")
    times: dict[str, list[float]] = defaultdict(list)
    with running_renderer(scan) as previews, running_renderer(scan) as tiles:
        previews()
        tiles(tiles=True)
        for number in range(rounds):
            preview = previews()
            times["preview"].append(preview["seconds"])
            times["vipsthumbnail"].append(vipsthumbnail(scan))
            cut = tiles(tiles=True)
            times["tiles"].append(cut["tile_seconds"])
            seconds, default_bytes = dzsave(scan, DEFAULT)
            times["dzsave"].append(seconds)
            seconds, same_bytes = dzsave(scan, SAME)
            times["dzsave_same"].append(seconds)
            print_progress(
                f"round {number + 1}: " + ", ".join(f"{name} {taken[-1]:.2f} s" for name, taken in times.items())
            )
    print_progress("convert ...")
    times["convert"].append(convert(scan))
    median = {name: statistics.median(taken) for name, taken in times.items()}
    return {
        "preview_vs_vips": round(median["preview"] / median["vipsthumbnail"], 2),
        "preview_vs_convert": round(median["preview"] / median["convert"], 3),
        "preview_peak_mb": round(preview["peak_mb"]),
        "tiles_vs_dzsave": round(median["tiles"] / median["dzsave"], 2),
        "tiles_bytes_vs_dzsave": round(cut["tile_bytes"] / default_bytes, 2),
        "tiles_vs_dzsave_same": round(median["tiles"] / median["dzsave_same"], 2),
        "tiles_bytes_vs_dzsave_same": round(cut["tile_bytes"] / same_bytes, 2),
        "tiles_peak_mb": round(cut["peak_mb"]),
        "seconds": {name: round(value, 2) for name, value in median.items()},
        "load": round(load, 1),
    }


def measure_huge(home: Path, rounds: int) -> dict[str, Any]:
    """Scans that are larger than memory, in a cgroup of 512 MiB."""
    load = os.getloadavg()[0]
    bits = scans.draw_sheet()
    cases = {"g4_one_strip": home / "huge.tif", "rgb_tiff": home / "colour.tif", "rgb_png": home / "colour.png"}
    print_progress("making scans ...")
    scans.write_huge(bits, cases["g4_one_strip"])
    scans.write_colour(bits, cases["rgb_tiff"], cases["rgb_png"])
    return {name: measure_in_cgroup(scan, rounds) for name, scan in cases.items()} | {"load": round(load, 1)}


def measure_in_cgroup(scan: Path, rounds: int) -> dict[str, Any]:
    """Preview (warm, interleaved with vipsthumbnail) and tiles of one scan."""
    with leaf_cgroup(MEMORY_LIMIT) as cgroup, running_renderer(scan, cgroup) as ours:
        if cgroup is None:
            sys.exit("No memory cgroup can be made here. Run it as root, or in a delegated cgroup.")
        previews, thumbnails = [], []
        for _ in range(rounds):
            preview = ours()
            previews.append(preview["seconds"])
            thumbnails.append(vipsthumbnail(scan))
        cut = ours(tiles=True)
        result = {
            "preview_seconds": round(statistics.median(previews), 2),
            "preview_vs_vips": round(statistics.median(previews) / statistics.median(thumbnails), 2),
            "preview_peak_mb": round(preview["peak_mb"]),
            "tiles_seconds": round(cut["tile_seconds"], 1),
            "tiles_peak_mb": round(cut["peak_mb"]),
            "oom_kills": cgroup.oom_kills(),
        }
        print_progress(f"{scan.name}: {result}")
        return result


def main() -> None:
    """Run and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (5; 1 with --huge is enough)")
    parser.add_argument("--huge", action="store_true", help="scans larger than memory, in a cgroup of 512 MiB")
    chosen = parser.parse_args()
    with scratch() as home:
        print_result((measure_huge if chosen.huge else measure_a0)(home, chosen.rounds))


if __name__ == "__main__":
    main()
