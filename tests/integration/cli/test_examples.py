"""The example as a program: the same bytes in every process, and scans that look like scans."""

import hashlib
import subprocess
import sys
from pathlib import Path

from ezdxf.filemanagement import readfile

from examples.pump_station.drawing import draw
from tasks.plan import plan


def test_when_written_by_two_processes_then_the_bytes_are_the_same_and_can_be_planned(tmp_path: Path) -> None:
    digests = set()
    for seed in ("1", "2", "3"):
        folder = tmp_path / seed
        subprocess.run(
            [sys.executable, "-m", "examples.pump_station", str(folder)],
            check=True,
            capture_output=True,
            timeout=60,
            env={"PYTHONHASHSEED": seed, "PATH": "", "HOME": str(tmp_path)},
        )
        digests.add(hashlib.sha256((folder / "pump-station.dxf").read_bytes()).hexdigest())
    assert len(digests) == 1
    written = tmp_path / "1" / "pump-station.dxf"
    assert plan(written).layers == len(readfile(written).layers)
    assert str(tmp_path) not in written.read_text()


def test_when_scanned_then_there_is_a_bilevel_sheet_with_ink_and_a_worn_grey_one(
    tmp_path: Path,
) -> None:
    import pyvips

    from examples.pump_station.scan import scan

    bilevel, grey = scan(draw(), tmp_path, "station")
    sheet = pyvips.Image.new_from_file(str(bilevel))
    assert sheet.get("bits-per-sample") == 1
    assert (sheet.width, sheet.height) == (6622, 4677)  # A1 at 200 dpi
    assert 0.01 < 1 - sheet.avg() / 255 < 0.15  # a drawing is mostly paper
    worn = pyvips.Image.new_from_file(str(grey))
    assert worn.bands == 1
    assert worn.width > 4966  # A1 at 150 dpi, grown by its rotation
    assert worn.extract_area(100, 100, 200, 200).deviate() > 1  # noise, even where nothing is drawn
