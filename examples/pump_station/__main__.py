"""`python -m examples.pump_station OUTDIR [--scan]`: write the example drawing, and scans of it."""

from pathlib import Path
from typing import Annotated

import typer

STEM = "pump-station"


def main(
    outdir: Annotated[Path, typer.Argument(help="Output directory; it is created if missing.", file_okay=False)],
    with_scan: Annotated[
        bool, typer.Option("--scan", help="Also write a bilevel TIFF (G4, 200 dpi) and a degraded grey PNG of it.")
    ] = False,
) -> None:
    """Draw a pump station's general arrangement: A1 at 1:50, 24 layers, blocks, dimensions, hatches, two layouts.

    Writes OUTDIR/pump-station.dxf. The same version writes the same bytes every time.
    """
    from examples.pump_station.drawing import draw, save

    outdir.mkdir(parents=True, exist_ok=True)
    doc = draw()
    written = [outdir / f"{STEM}.dxf"]
    save(doc, written[0])
    if with_scan:
        from examples.pump_station.scan import scan

        written += scan(doc, outdir, STEM)
    for path in written:
        typer.echo(f"{path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    typer.run(main)
