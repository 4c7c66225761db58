"""The hostile corpus: `CASES`, and the canary files that no render may open.

python -m tests.hostile.corpus FOLDER        writes every case below FOLDER, for inspection or use with other programs
"""

import sys
from pathlib import Path

from tests.hostile import disguises, documents, drawings, images
from tests.hostile.case import CASES, TIMEOUT, Case, Expected

__all__ = ["CASES", "FAMILIES", "TIMEOUT", "Case", "Expected", "make_canaries"]

FAMILIES = (images, documents, drawings, disguises)  # importing them registers the cases

SECRETS = ("txt", "png", "svg", "css", "dxf", "pdf", "ttf", "dtd", "sh")


def make_canaries(folder: Path) -> Path:
    """Create the canary files that the corpus references; drawings among them are valid, so a leak would be visible."""
    folder.mkdir()
    for suffix in SECRETS:
        (folder / f"secret.{suffix}").write_text("the secret")
    (folder / "secret.png").write_bytes(images.small_png())
    (folder / "secret.svg").write_bytes(documents.svg('<rect id="a" width="64" height="64"/>'))
    (folder / "secret.dxf").write_bytes(drawings.dxf(drawings.LINE))
    (folder / "secret.pdf").write_bytes(documents.page())
    return folder


def write_corpus(folder: Path) -> None:
    """Write all cases, each into its own folder."""
    outside = make_canaries(folder / "outside")
    for case in CASES:
        place = folder / str(case)
        place.mkdir()
        case.make(place / case.file, outside)


if __name__ == "__main__":
    write_corpus(Path(sys.argv[1]))
