"""Small blueprints of every source format, and truncated ones that fail half-way, for leak hunts.

python -m tests.leaks.families 200      # jobs each; prints one line per hunt
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from leaks.hunt import hunt
from leaks.target import Subject

SIZE = (160, 120)


def dxf(path: Path) -> None:
    """Two layers, a block, a text."""
    from ezdxf.filemanagement import new

    document = new("R2010", setup=True)
    document.layers.add("PIPES", color=1)
    block = document.blocks.new("VALVE")
    block.add_circle((0, 0), 5)
    space = document.modelspace()
    space.add_line((0, 0), (100, 60), {"layer": "PIPES"})
    space.add_blockref("VALVE", (40, 30))
    space.add_text("P-101", height=5, dxfattribs={"insert": (10, 40)})
    document.saveas(path)


def pdf(path: Path) -> None:
    """One page with a rectangle."""
    import cairocffi

    surface = cairocffi.PDFSurface(str(path), *SIZE)
    context = cairocffi.Context(surface)
    context.rectangle(20, 20, 100, 60)
    context.stroke()
    surface.finish()


def svg(path: Path) -> None:
    """Two groups and a text."""
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="160" height="120"><g id="walls"><rect x="9" y="9" width="99" '
        'height="80" fill="none" stroke="black"/></g><g id="tags"><text x="20" y="40">P-101</text></g></svg>'
    )


def raster(path: Path) -> None:
    """Noise in the format of the suffix, in CMYK if the name says so."""
    from PIL import Image

    picture = Image.effect_noise(SIZE, 60).convert("CMYK" if "cmyk" in path.name else "RGB")
    picture.save(path)


def cut_short(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """The same file without its second half."""

    def write(path: Path) -> None:
        make(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])

    return write


FAMILIES: dict[str, Callable[[Path], None]] = {
    "a.dxf": dxf,
    "a.pdf": pdf,
    "a.svg": svg,
    "a.png": raster,
    "a.jpg": raster,
    "a.tif": raster,
    "cmyk.tif": raster,
    "a.webp": raster,
}

BROKEN = {f"broken-{name}": cut_short(make) for name, make in FAMILIES.items()}


def subject(name: str, folder: Path) -> Subject:
    """The render of one of them, written to `folder`, as a target."""
    path = folder / name
    (FAMILIES | BROKEN)[name](path)
    return Subject(str(path), {"width": SIZE[0]}, errors=name in BROKEN)


def main(jobs: int) -> int:
    """Hunt in all formats. Returns the number of faults."""
    faults = 0
    for name in (*FAMILIES, *BROKEN):
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            report = hunt(subject(name, here), "survivors", jobs=jobs, out=here / "out", cache=here.parent / "tagger")
        faults += report.verdict.kind.is_fault
        failed = report.measurements.failures if report.measurements else 0
        print(
            f"{name:16} {report.verdict.kind:8} {report.verdict.explanation} ({failed} of {jobs} jobs failed)",
            flush=True,
        )
        for root in report.roots[:3]:
            print(f"    {root.leaked_by} / {root.allocated_by}: {root.bytes:,} bytes, {root.count:,} roots")
    return faults


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])) > 0)
