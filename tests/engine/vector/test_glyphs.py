"""Text in DXF drawings: substitutes for missing fonts, and a fallback font for missing glyphs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ezdxf.document import Drawing
from ezdxf.filemanagement import new
from ezdxf.fonts import fonts
from ezdxf.fonts.fonts import AbstractFont

from tests.engine.conftest import Render
from tests.engine.drawings import pixels, save
from workers.render.manifest import Manifest

WORDS = "WIDE AND ILL"
HOLE = "\u2300"  # diameter sign; Liberation fonts lack it


def _written(words: str, font: str) -> Drawing:
    """Write a drawing with one line of text in its own style."""
    document = new("R2010")
    document.styles.add("OWN", font=font)
    document.modelspace().add_text(words, height=10, dxfattribs={"style": "OWN"})
    return document


def _width(manifest: Manifest, out: Path) -> float:
    """Return the width of all ink in drawing units."""
    ink = np.flatnonzero((pixels(out / "preview.webp") < 200).any(axis=(0, 2)))
    assert manifest.source.extents is not None
    left, _, right, _ = manifest.source.extents
    return float(ink[-1] - ink[0] + 1) * (right - left) / manifest.preview.width


def _font(name: str) -> AbstractFont:
    return fonts.make_font(name, 10.0)


def _ink(font: AbstractFont, words: str) -> float:
    low, high = font.text_path(words).extents()
    return float(high.x - low.x)


@pytest.mark.parametrize(
    ("requested", "file"),
    [
        ({"font": "arial.ttf"}, "LiberationSans-Regular.ttf"),
        ({"font": r"C:\WINDOWS\Fonts\TIMESBI.TTF"}, "LiberationSerif-BoldItalic.ttf"),
        ({"family": "Courier New", "bold": True}, "LiberationMono-Bold.ttf"),
    ],
)
def test_given_text_in_a_windows_font_when_rendered_then_it_is_as_wide_as_in_its_substitute(
    tmp_path: Path, out: Path, draw: Render, requested: dict[str, Any], file: str
) -> None:
    document = _written(WORDS, requested.get("font", ""))
    if "family" in requested:
        document.styles.get("OWN").set_extended_font_data(requested["family"], bold=requested["bold"])

    manifest = draw(save(document, tmp_path / "twin.dxf"), width=1024)

    assert _width(manifest, out) == pytest.approx(_ink(_font(file), WORDS), rel=0.01)
    warnings = [warning.message for warning in manifest.warnings]
    assert warnings == (
        [f"Font {requested['font']} is not installed; {file} was used instead."] if "font" in requested else []
    )


@pytest.mark.parametrize(
    ("requested", "file"),
    [
        ("fTimes New Roman|b1|i1", "LiberationSerif-BoldItalic.ttf"),
        ("Fnosuch.shx|c0", fonts.font_manager.fallback_font_name()),
    ],
)
def test_given_a_paragraph_that_names_a_font_when_rendered_then_words_and_spaces_are_as_wide_as_in_its_substitute(
    tmp_path: Path, out: Path, draw: Render, requested: str, file: str
) -> None:
    document = new("R2010")
    font = _font(file)
    document.modelspace().add_mtext(rf"{{\{requested};{WORDS}}}", {"char_height": 10, "width": 200})

    manifest = draw(save(document, tmp_path / "twin.dxf"), width=1024)

    assert _width(manifest, out) == pytest.approx(_ink(font, WORDS), rel=0.01)


@pytest.mark.parametrize("kind", ["text", "mtext"])
def test_given_a_glyph_that_only_the_fallback_font_has_when_rendered_then_it_is_drawn_in_its_place(
    tmp_path: Path, out: Path, draw: Render, kind: str
) -> None:
    document = new("R2010")
    document.styles.add("OWN", font="LiberationSans-Regular.ttf")
    words = f"HOLE {HOLE} 12"
    if kind == "text":
        document.modelspace().add_text(words, height=10, dxfattribs={"style": "OWN"})
    else:
        document.modelspace().add_mtext(words, {"style": "OWN", "char_height": 10})

    manifest = draw(save(document, tmp_path / "hole.dxf"), width=1024)

    font, second = _font("LiberationSans-Regular.ttf"), _font(fonts.font_manager.fallback_font_name())
    expected = font.text_width("HOLE") + 2 * font.space_width() + second.text_width(HOLE) + font.text_width("12")
    assert _width(manifest, out) == pytest.approx(
        expected, rel=0.03
    )  # without the side bearings of the first and last glyph
    assert not manifest.warnings


def test_given_text_in_a_font_that_is_missing_when_rendered_then_a_warning_names_its_substitute(
    tmp_path: Path, draw: Render
) -> None:
    manifest = draw(save(_written("VALVE", "nosuchfont.shx"), tmp_path / "font.dxf"), width=64)

    assert [warning.code for warning in manifest.warnings] == ["font-substituted"]
    assert manifest.warnings[0].message.startswith("Font nosuchfont.shx is not installed; ")


def test_given_missing_glyphs_when_rendered_then_a_warning_shows_some_of_them(tmp_path: Path, draw: Render) -> None:
    document = _written("V1 \u56fd\u9762", "DejaVuSans.ttf")
    document.modelspace().add_mtext("{\\H2x;\u4e00\u4e01\u4e02\u4e03\u4e04\u4e05\u4e06}", {"style": "OWN"})

    manifest = draw(save(document, tmp_path / "boxes.dxf"), width=64)

    assert [warning.code for warning in manifest.warnings] == ["missing-glyphs"]
    shown = "\u4e00 \u4e01 \u4e02 \u4e03 \u4e04 \u4e05 \u4e06 \u56fd and others"
    assert manifest.warnings[0].message.startswith(f"Characters without a glyph were drawn as boxes: {shown}. Install ")


CHILD = """
import os, sys
from ezdxf.fonts import fonts
from workers.render.vector.text.font_matching import refresh_fonts

print(fonts.font_manager.has_font("Ours.ttf"), flush=True)
sys.stdin.readline()
for _ in range(2):
    if os.fork() == 0:
        before = fonts.font_manager.has_font("Ours.ttf")
        refresh_fonts()
        print(before, fonts.font_manager.has_font("Ours.ttf"), flush=True)
        os._exit(0)
    os.wait()
"""


def test_given_a_font_installed_later_when_a_worker_starts_new_children_then_each_finds_it(
    tmp_path: Path,
) -> None:
    installed = fonts.font_manager.get_ttf_font("DejaVuSans.ttf").reader.file.name
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(command, env=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stdout.readline() == "False\n"
        (tmp_path / ".fonts").mkdir()
        shutil.copy(installed, tmp_path / ".fonts" / "Ours.ttf")
        worker.stdin.write("\n")
        worker.stdin.close()

        assert worker.stdout.read() == "False True\n" * 2
