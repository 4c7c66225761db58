"""`python -m examples.sandboxed_tasks FOLDER`: makes files in FOLDER, runs each task on them and prints how it ended.

A worker must run, see `app`. Exit code 0 if every task ended as it should.
"""

import os
import sys
from pathlib import Path

WIDTH, HEIGHT = 64, 48
BLUE = bytes((200, 120, 40))

# The files, and the offset of the pixels that their headers tell. The crafted one points far beyond the file.
PICTURES = {"picture.bmp": 54, "crafted.bmp": 0xFFFF_FFFF}

TIMEOUT = 60


def make_files(folder: Path) -> None:
    """A picture, and one that crashes the decoder of the example."""
    (folder / "thumbnails").mkdir(parents=True, exist_ok=True)
    for name, offset in PICTURES.items():
        (folder / name).write_bytes(_bitmap(offset))


def _bitmap(offset: int) -> bytes:
    header = b"".join(
        number.to_bytes(size, "little")
        for number, size in ((40, 4), (WIDTH, 4), (HEIGHT, 4), (1, 2), (24, 2), *[(0, 4)] * 6)
    )
    pixels = BLUE * WIDTH * HEIGHT
    length = 14 + len(header) + len(pixels)
    return b"BM" + length.to_bytes(4, "little") + bytes(4) + offset.to_bytes(4, "little") + header + pixels


def main(folder: Path) -> None:
    """Make the files and call the tasks."""
    make_files(folder)
    os.environ["FILES"] = str(folder)
    from examples.sandboxed_tasks.app import first_pixel, identify, thumbnail

    picture, crafted = (str(folder / name) for name in PICTURES)
    calls = {
        "identify": identify.delay(picture),
        "first_pixel": first_pixel.delay(picture),
        "first_pixel of the crafted file": first_pixel.delay(crafted),
        "thumbnail": thumbnail.delay(picture, width=32),
    }
    for name, result in calls.items():
        print(f"{name}: {result.get(timeout=TIMEOUT, propagate=False)}")
    states = [result.state for result in calls.values()]
    sys.exit(states != ["SUCCESS", "SUCCESS", "FAILURE", "SUCCESS"])


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
