"""Leak hunts: the same job again and again in a child process, and a verdict on what it leaves behind.

    from leaks.hunt import hunt
    report = hunt(Subject("floorplan.dxf"), "survivors", jobs=50, out=Path("hunt"))

target -> child (probes, tagger) -> samples -> verdict -> roots -> report; one module a step, one module an instrument
in `instruments/`. What decides (`verdict`, `roots`) is pure. Importing this package loads nothing.
"""
