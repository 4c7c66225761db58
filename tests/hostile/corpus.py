"""The hostile corpus: `CASES`, and the files outside that no render may open.

python -m tests.hostile.corpus FOLDER        writes every case below FOLDER, to be looked at or fed to something else
"""

import sys
from pathlib import Path

from tests.hostile import disguises, documents, drawings, pictures
from tests.hostile.case import CASES, TIMEOUT, Case, Expected

__all__ = ["CASES", "FAMILIES", "TIMEOUT", "Case", "Expected", "make_canaries"]

FAMILIES = (pictures, documents, drawings, disguises)  # importing them fills the table

SECRETS = ("txt", "png", "svg", "css", "dxf", "pdf", "ttf", "dtd", "sh")


def make_canaries(folder: Path) -> Path:
    """A folder of files that the corpus refers to, whole drawings among them where a renderer could show one."""
    folder.mkdir()
    for suffix in SECRETS:
        (folder / f"secret.{suffix}").write_text("the secret")
    (folder / "secret.png").write_bytes(pictures.small_png())
    (folder / "secret.svg").write_bytes(documents.svg('<rect id="a" width="64" height="64"/>'))
    (folder / "secret.dxf").write_bytes(drawings.dxf(drawings.LINE))
    (folder / "secret.pdf").write_bytes(documents.page())
    return folder


def write_corpus(folder: Path) -> None:
    """Write all cases, each in a folder of its own."""
    outside = make_canaries(folder / "outside")
    for case in CASES:
        place = folder / str(case)
        place.mkdir()
        case.make(place / case.file, outside)


if __name__ == "__main__":
    write_corpus(Path(sys.argv[1]))
