"""Deep Zoom tiles: geometry, contents, uniform tiles, checksums, and resuming after a kill."""

import errno
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from workers.render import webp
from workers.render.manifest import TileSet
from workers.render.raster import Box, Pixels
from workers.render.sources import ScalableImage, SequentialImage
from workers.render.tiles import encode, write_tiles
from workers.render.tiles.pyramid import TILE, Pyramid
from workers.render.tiles.sequential import halve

SEED = 7


def sheet(width: int, height: int, channels: int = 1) -> Pixels:
    """Return paper with a few lines on it; transparent pixels have the colour of paper too."""
    chance = np.random.default_rng(SEED)
    pixels = np.full((height, width, channels), 255, np.uint8)
    if channels == 4:
        pixels[..., 3] = 0
    for at in chance.integers(0, height // 2, 12):
        pixels[at : at + 2, : width // 2] = 0
        if channels == 4:
            pixels[at : at + 2, : width // 2, 3] = 255
    return pixels


def strips(pixels: Pixels, rows: int = 100) -> SequentialImage:
    """Yield the image in blocks of `rows` rows."""
    height, width, channels = pixels.shape
    return SequentialImage(
        (width, height), channels, lambda: (pixels[top : top + rows] for top in range(0, height, rows))
    )


def quiet(_share: float) -> None:
    """Ignore progress."""


def write(pixels: Pixels, folder: Path, rows: int = 100) -> TileSet:
    return write_tiles(strips(pixels, rows), folder, "tiles", quiet)


def read(folder: Path, level: int, column: int, row: int, mode: str = "L") -> Pixels:
    with Image.open(folder / f"tiles_files/{level}/{column}_{row}.webp") as image:
        return np.asarray(image.convert(mode))


def everything(folder: Path) -> dict[str, str]:
    """Return the digest of every file in the folder, recursively."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@given(st.integers(1, 200_000), st.integers(1, 200_000))
def test_given_any_size_then_the_levels_range_from_one_pixel_to_the_image(width: int, height: int) -> None:
    pyramid = Pyramid(width, height)
    assert pyramid.size(0) == (1, 1)
    assert pyramid.size(pyramid.top) == (width, height)
    for level in range(pyramid.top):
        upper, lower = pyramid.size(level), pyramid.size(level + 1)
        assert upper == (-(-lower[0] // 2), -(-lower[1] // 2))
        assert pyramid.grid(level) == (-(-upper[0] // TILE), -(-upper[1] // TILE))


def test_given_an_a0_scan_then_it_has_as_many_tiles_as_vips_dzsave_makes_of_it() -> None:
    assert Pyramid(19_866, 14_043).tiles == 1480


def test_given_an_image_when_cut_then_its_full_size_tiles_assemble_to_the_image(tmp_path: Path) -> None:
    pixels = sheet(1300, 1100)
    tiles = write(pixels, tmp_path)
    top = tiles.levels[-1]
    rows = [
        np.hstack([read(tmp_path, top.level, column, row) for column in range(top.columns)]) for row in range(top.rows)
    ]
    assert np.array_equal(np.vstack(rows), pixels[..., 0])
    assert (top.columns, top.rows) == (3, 3)


def test_given_an_image_when_cut_then_each_level_is_the_mean_of_the_one_below(tmp_path: Path) -> None:
    pixels = sheet(1301, 1099)
    tiles = write(pixels, tmp_path)
    expected = pixels
    for level in reversed(tiles.levels):
        digests = np.vstack([
            np.hstack([read(tmp_path, level.level, column, row) for column in range(level.columns)])
            for row in range(level.rows)
        ])  # fmt: skip
        assert np.array_equal(digests, expected[..., 0]), level
        expected = halve(expected)


@pytest.mark.parametrize("rows", [7, 512, 513, 4000])
def test_given_blocks_of_any_height_when_cut_then_the_tiles_are_the_same(tmp_path: Path, rows: int) -> None:
    pixels = sheet(700, 1100)
    (tmp_path / "once").mkdir()
    (tmp_path / "again").mkdir()
    assert write(pixels, tmp_path / "once") == write(pixels, tmp_path / "again", rows)
    assert everything(tmp_path / "once") == everything(tmp_path / "again")


def test_given_an_image_of_one_pixel_when_cut_then_there_is_one_tile(tmp_path: Path) -> None:
    tiles = write(np.zeros((1, 1, 3), np.uint8), tmp_path)
    assert [(level.columns, level.rows) for level in tiles.levels] == [(1, 1)]
    assert sorted(everything(tmp_path)) == ["tiles.dzi", "tiles_files/0/0_0.webp"]


def test_given_odd_sizes_when_halved_then_edges_are_means_of_the_existing_pixels() -> None:
    pixels = np.array([[0, 100, 40], [100, 200, 60], [10, 30, 7]], np.uint8)[..., np.newaxis]
    assert halve(pixels)[..., 0].tolist() == [[100, 50], [20, 7]]


def test_given_transparency_when_halved_then_colours_below_it_do_not_bleed() -> None:
    pixels = np.array([[[255, 255, 255, 0], [10, 20, 30, 255]]], np.uint8)
    *colour, alpha = halve(pixels)[0, 0].tolist()
    assert alpha == 128
    assert colour == pytest.approx([10, 20, 30], abs=1)


def test_given_wide_images_when_halved_then_the_blocks_join_without_a_seam() -> None:
    pixels = np.random.default_rng(SEED).integers(0, 256, (4, 9001, 1), np.uint8)
    expected = Image.fromarray(pixels[..., 0]).reduce(2)
    assert np.array_equal(halve(pixels)[..., 0], np.asarray(expected))


def test_given_the_descriptor_then_it_says_what_deep_zoom_viewers_read(tmp_path: Path) -> None:
    write(sheet(1300, 1100), tmp_path)
    image = ET.fromstring((tmp_path / "tiles.dzi").read_text())  # noqa: S314 - our own text
    assert image.tag == "{http://schemas.microsoft.com/deepzoom/2008}Image"
    assert image.attrib == {"Format": "webp", "Overlap": "0", "TileSize": "512"}
    assert image[0].attrib == {"Width": "1300", "Height": "1100"}


def test_given_uniform_tiles_when_cut_then_they_are_hard_links_to_one_file(tmp_path: Path) -> None:
    tiles = write(sheet(4 * TILE, 4 * TILE), tmp_path)
    top = tiles.levels[-1]
    folder = tmp_path / f"tiles_files/{top.level}"
    blank = [folder / f"{column}_{row}.webp" for row in range(4) for column in range(2, 4)]
    assert len({path.stat().st_ino for path in blank}) == 1
    assert top.distinct_tiles < 16 - 6


def test_given_transparent_tiles_with_different_hidden_colours_then_they_are_uniform() -> None:
    hidden = np.zeros((4, 4, 4), np.uint8)
    hidden[0, 0, 0] = 99
    assert encode.uniform_pixel(hidden) == encode.uniform_pixel(np.zeros((4, 4, 4), np.uint8)) is not None
    hidden[0, 0, 3] = 1
    assert encode.uniform_pixel(hidden) is None


def test_given_the_tiles_then_the_manifest_can_be_checked_against_them(tmp_path: Path) -> None:
    tiles = write(sheet(1300, 1100), tmp_path)
    assert tiles.sha256 == hashlib.sha256((tmp_path / tiles.file).read_bytes()).hexdigest()
    for level in tiles.levels:
        files = [
            (tmp_path / f"tiles_files/{level.level}/{column}_{row}.webp").read_bytes()
            for row in range(level.rows)
            for column in range(level.columns)
        ]
        digests = [hashlib.sha256(data).digest() for data in files]
        assert level.sha256 == hashlib.sha256(b"".join(digests)).hexdigest()
        assert level.bytes == sum(map(len, files))
        assert level.distinct_tiles == len(set(digests))


def test_given_line_work_and_a_photograph_then_each_tile_is_encoded_by_its_content() -> None:
    noise = np.random.default_rng(SEED).integers(0, 256, (512, 512, 3), np.uint8)
    grey_lines = sheet(512, 512)
    grey_lines[::9] = np.arange(512, dtype=np.uint8)[:, np.newaxis] // 8
    assert encode.choose_settings(noise) is webp.PHOTOGRAPH
    assert encode.choose_settings(grey_lines) is webp.LINE_WORK_TILE
    assert encode.choose_settings(sheet(512, 512)) is webp.PALETTE_TILE


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_given_line_work_when_encoded_then_nothing_visible_is_lost(channels: int) -> None:
    pixels = sheet(512, 300, channels)
    with Image.open(io.BytesIO(encode.encode_tile(pixels))) as image:
        digests = np.asarray(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])).reshape(pixels.shape)
    if channels == 4:
        assert np.array_equal(digests[..., 3], pixels[..., 3])
        seen = pixels[..., 3] > 0
        assert np.array_equal(digests[seen], pixels[seen])
    else:
        assert np.array_equal(digests, pixels)


def test_given_a_truncated_tile_then_it_does_not_count_as_complete() -> None:
    data = encode.encode_tile(sheet(64, 64))
    assert encode.is_complete(data)
    assert not encode.is_complete(data[:-1])
    assert not encode.is_complete(b"")
    assert not encode.is_complete(bytes(len(data)))


class Killed(BaseException):
    """Simulates the end of the process."""


def cut_off(pixels: Pixels, after: int) -> SequentialImage:
    """Yield the image until the process ends after `after` rows."""
    whole = strips(pixels, 64)

    def read() -> Iterator[Pixels]:
        for number, block in enumerate(whole.read_rows()):
            if 64 * number >= after:
                raise Killed
            yield block

    return SequentialImage(whole.size, whole.channels, read)


@pytest.mark.parametrize("after", [0, 600, 1100, 1500])
def test_given_an_attempt_that_was_killed_when_tried_again_then_its_tiles_are_reused_and_the_bytes_are_the_same(
    tmp_path: Path, after: int
) -> None:
    pixels = sheet(1300, 1600)
    once, again = tmp_path / "once", tmp_path / "again"
    once.mkdir()
    again.mkdir()
    expected = write(pixels, once)
    with pytest.raises(Killed):
        write_tiles(cut_off(pixels, after), again, "tiles", quiet)
    mtimes = {path: path.stat().st_mtime_ns for path in again.rglob("*.webp")}
    assert bool(mtimes) == (after >= TILE)
    assert write(pixels, again) == expected
    assert everything(again) == everything(once)
    assert {path: path.stat().st_mtime_ns for path in mtimes} == mtimes


def test_given_a_tile_damaged_by_a_machine_crash_when_tried_again_then_it_is_written_again(
    tmp_path: Path,
) -> None:
    pixels = sheet(1300, 1100)
    expected = write(pixels, tmp_path)
    broken = tmp_path / f"tiles_files/{expected.levels[-1].level}/0_0.webp"
    data = broken.read_bytes()
    broken.unlink()
    broken.write_bytes(data[:20])
    broken.with_name("0_0.webp.part").write_bytes(b"half")
    assert write(pixels, tmp_path) == expected
    assert broken.read_bytes() == data
    assert not list(tmp_path.rglob("*.part"))


def test_given_a_failing_disk_when_tiles_are_written_then_the_error_is_raised(tmp_path: Path) -> None:
    (tmp_path / "tiles_files/11").mkdir(parents=True)
    (tmp_path / "tiles_files/11/0_0.webp.part").mkdir()
    with pytest.raises(IsADirectoryError):
        write(sheet(1300, 1100), tmp_path)


def test_given_tiles_in_progress_then_the_reported_share_rises_to_one(tmp_path: Path) -> None:
    shares: list[float] = []
    write_tiles(strips(sheet(1300, 1100)), tmp_path, "tiles", shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


class Rings:
    """A drawing of circles that counts its paintings."""

    def __init__(self) -> None:
        self.painted = 0

    def paint(self, size: tuple[int, int], box: Box) -> Pixels:
        x, y, width, height = box
        self.painted += width * height
        rows, columns = np.mgrid[y : y + height, x : x + width]
        away = np.hypot((columns + 0.5) / size[0] - 0.5, (rows + 0.5) / size[1] - 0.5)
        return np.where(np.abs(away - 0.3) < 0.01, 0, 255).astype(np.uint8)[..., np.newaxis].repeat(3, axis=2)


def test_given_a_drawing_then_every_level_is_painted_at_its_own_resolution(tmp_path: Path) -> None:
    rings = Rings()
    tiles = write_tiles(ScalableImage((5000, 1000), rings.paint), tmp_path, "tiles", quiet)
    for level in tiles.levels[-4:]:
        size = Pyramid(5000, 1000).size(level.level)
        expected = rings.paint(size, (0, 0, *size))[..., 0]
        digests = np.vstack([
            np.hstack([read(tmp_path, level.level, column, row) for column in range(level.columns)])
            for row in range(level.rows)
        ])  # fmt: skip
        assert np.array_equal(digests, expected)


def test_given_a_drawing_whose_tiles_exist_then_nothing_is_painted_again(tmp_path: Path) -> None:
    rings = Rings()
    expected = write_tiles(ScalableImage((3000, 2000), rings.paint), tmp_path, "tiles", quiet)
    (tmp_path / f"tiles_files/{expected.levels[-1].level}/5_3.webp").unlink()
    rings.painted = 0
    assert write_tiles(ScalableImage((3000, 2000), rings.paint), tmp_path, "tiles", quiet) == expected
    assert rings.painted == (3000 - 5 * TILE) * (2000 - 3 * TILE)


def test_given_a_file_system_without_links_then_uniform_tiles_are_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked, copied = tmp_path / "linked", tmp_path / "copied"
    linked.mkdir()
    copied.mkdir()
    expected = write(sheet(4 * TILE, 4 * TILE), linked)

    def refuse(*_paths: Path) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    monkeypatch.setattr(os, "link", refuse)
    assert write(sheet(4 * TILE, 4 * TILE), copied) == expected
    assert everything(copied) == everything(linked)


def test_given_lines_with_noise_around_them_then_the_smaller_of_lossless_and_lossy_is_kept() -> None:
    pixels = sheet(512, 512, 3)
    noise = np.random.default_rng(SEED).integers(240, 256, (512, 250, 3), np.uint8)
    pixels[:, :250] = noise
    assert encode.choose_settings(pixels) is webp.LINE_WORK_TILE
    data = encode.encode_tile(pixels)
    assert data[12:16] == b"VP8 "
    assert len(data) < 512 * 512 / 8
