"""Leak hunts: run the same job many times in a child process, and decide whether it leaks.

    from leaks.hunt import hunt
    report = hunt(Subject("floorplan.dxf"), "survivors", jobs=50, out=Path("hunt"))

target -> child (probes, tagger) -> measurements -> verdict -> roots -> report, one module per step;
`instruments/` has one module per instrument. The decisions (`verdict`, `roots`) are pure. Importing this package loads
nothing else.

It is a package of its own and not part of `profiling/`, because Python 3.15 has a standard package of that name.
"""
