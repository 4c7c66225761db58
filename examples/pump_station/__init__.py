"""A pump station's general arrangement, drawn by script: `python -m examples.pump_station OUTDIR [--scan]`."""
