"""Raster images larger than the memory limit, and tile jobs killed at random points."""

import hashlib
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import pyvips

from tasks.plan import TooLarge, check_memory_limit, plan
from tasks.renders import RenderOptions
from tests.integration.render.sandbox import RenderSandbox
from workers.render import Step, render
from workers.sandbox.reports import Progress
from workers.sandbox.runner import ProcessDied
from workers.sandbox.watch import Limits

ROOT = Path(__file__).resolve().parents[3]
MEMORY_LIMIT = 512 * 1024**2
KILLS = 20
SEED = 3


def write_scan(path: Path, width: int, height: int) -> Path:
    """Write a bilevel G4 scan of one strip with nested frames and slanted lines."""
    rows, columns = np.mgrid[0:2048, 0:2048].astype(np.int32)
    frames = (np.maximum(abs(rows - 1024), abs(columns - 1024)) % 170) < 5
    ink = frames | (((rows + 3 * columns) % 700) < 4)
    tile = np.where(ink, 0, 255).astype(np.uint8)
    image = pyvips.Image.new_from_memory(tile.data, 2048, 2048, 1, "uchar").copy(interpretation="b-w")
    across, down = -(-width // 2048), -(-height // 2048)
    image = image.replicate(across, down).crop(0, 0, width, height)
    image.tiffsave(str(path), compression="ccittfax4", bitdepth=1, tile_height=min(height, 32_000))
    return path


def file_digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def tile_mtimes(folder: Path) -> dict[Path, int]:
    """Return the modification time of every tile."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("tiles_files/*/*.webp")}


class Killer:
    """Kills a render some seconds after its first report of the stage `tiles`. `before` are the tiles until then."""

    def __init__(self, sandbox: RenderSandbox, out: Path, seconds: float) -> None:
        self._sandbox, self._out, self._seconds = sandbox, out, seconds
        self._is_started = False
        self.before: dict[Path, int] = {}

    def on_progress(self, progress: Progress) -> None:
        if progress.stage != "tiles" or self._is_started:
            return
        self._is_started = True
        self.before = tile_mtimes(self._out)
        time.sleep(self._seconds)
        os.kill(self._sandbox.pid, signal.SIGKILL)


def test_given_a_tile_job_killed_at_twenty_random_points_then_it_ends_with_the_same_bytes_and_writes_no_tile_twice(
    sandbox: RenderSandbox, tmp_path: Path, work: Path
) -> None:
    scan = write_scan(tmp_path / "scan.tif", 12_000, 9_000)
    options = RenderOptions(width=512, tiles=True)
    uninterrupted, killed = tmp_path / "uninterrupted", work / "out"
    uninterrupted.mkdir()
    render(scan, uninterrupted, options)
    generator = random.Random(SEED)
    rewritten = 0
    for _ in range(KILLS):
        killer = Killer(sandbox, killed, generator.uniform(0, 0.3))
        with pytest.raises(ProcessDied):
            sandbox.render(scan, work, tiles=True, on_progress=killer.on_progress)
        after = tile_mtimes(killed)
        rewritten += sum(after[path] != written for path, written in killer.before.items())
    before = tile_mtimes(killed)
    manifest = render(scan, killed, options)
    rewritten += sum(tile_mtimes(killed)[path] != written for path, written in before.items())
    assert manifest.tiles is not None
    assert rewritten == 0
    assert file_digests(killed) == file_digests(uninterrupted)


def test_given_a_killed_tile_job_when_tried_again_then_preview_and_layers_are_reused(tmp_path: Path) -> None:
    scan = write_scan(tmp_path / "scan.tif", 6_000, 4_000)
    out = tmp_path / "out"
    out.mkdir()

    class Killed(BaseException):
        pass

    def kill(step: Step) -> None:
        if step.stage == "tiles" and list(out.glob("tiles_files/*/*.webp")):
            raise Killed

    options = RenderOptions(width=512, tiles=True)
    with pytest.raises(Killed):
        render(scan, out, options, progress=kill)
    drawn = (out / "preview.webp").stat().st_mtime_ns, (out / "layers/000.webp").stat().st_mtime_ns
    stages: list[str] = []
    render(scan, out, options, progress=lambda step: stages.append(step.stage))
    now = (out / "preview.webp").stat().st_mtime_ns, (out / "layers/000.webp").stat().st_mtime_ns
    assert now == drawn
    assert not {"draw", "compose", "encode"} & set(stages)
    assert not list(out.glob(".*"))


def test_given_the_preview_when_tiles_begin_then_it_is_complete(tmp_path: Path) -> None:
    scan = write_scan(tmp_path / "scan.tif", 3_000, 2_000)
    out = tmp_path / "out"
    out.mkdir()
    seen: list[bool] = []

    def check(step: Step) -> None:
        if step.stage == "tiles":
            seen.append((out / "preview.webp").exists() and (out / "layers/000.webp").exists())

    render(scan, out, RenderOptions(width=512, tiles=True), progress=check)
    assert seen
    assert all(seen)


@pytest.mark.timeout(300)
def test_given_a_gigapixel_in_one_strip_when_rendered_with_tiles_then_it_stays_below_the_memory_limit(
    sandbox: RenderSandbox, tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = write_scan(tmp_path / "scan.tif", 40_000, 26_000)
    options = RenderOptions(tiles=True)
    planned = plan(scan, width=options.width, tiles=True)
    check_memory_limit(planned, MEMORY_LIMIT)
    monkeypatch.setattr(sandbox, "limits", Limits(MEMORY_LIMIT, cpu=280))
    rendered = sandbox.render(scan, work, planned=planned, **options.model_dump())
    assert sandbox.outcomes[0].exit_info.peak <= planned.peak_bytes
    assert (rendered.out / "tiles_files/16/78_50.webp").exists()


def test_given_an_image_whose_rows_of_tiles_exceed_the_memory_limit_then_it_is_refused_from_its_header(
    tmp_path: Path,
) -> None:
    wide = tmp_path / "wide.tif"
    pyvips.Image.black(200_000, 64, bands=3).copy(interpretation="srgb").tiffsave(str(wide), compression="deflate")
    check_memory_limit(plan(wide), MEMORY_LIMIT)
    with pytest.raises(
        TooLarge,
        match=r"^Rendering this TIFF needs about [0-9,]+ MiB of memory and the memory limit of a render is 512 MiB",
    ):
        check_memory_limit(plan(wide, tiles=True), MEMORY_LIMIT)
