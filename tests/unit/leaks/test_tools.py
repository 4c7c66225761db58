"""What other tools write, read."""

from pathlib import Path

from leaks.instruments import NAMES, load_instrument, lsan, massif, memcheck
from leaks.roots import called_function

LSAN = """
=================================================================
==17==ERROR: LeakSanitizer: detected memory leaks

Direct leak of 83200 byte(s) in 20 object(s) allocated from:
    #0 0x7fb0 in __interceptor_malloc ../../../../src/libsanitizer/lsan/lsan_interceptors.cpp:75
    #1 0x7fb1 in AcquireCriticalMemory (/lib/libMagickCore-6.Q16.so.6+0x12d83a)
    #2 0x7fb2 in CloneMagickWand (/lib/libMagickWand-6.Q16.so.6+0xa3f69)
    #3 0x7fb3  (/lib/libffi.so.8+0x6f79)

Indirect leak of 4800000 byte(s) in 20 object(s) allocated from:
    #1 0x7fb1 in MagickCompositeImage (/lib/libMagickWand-6.Q16.so.6+0x1)

SUMMARY: LeakSanitizer: 4883200 byte(s) leaked in 40 allocation(s).
"""

MEMCHECK = """<?xml version="1.0"?>
<valgrindoutput><error><kind>Leak_DefinitelyLost</kind>
<xwhat><text>t</text><leakedbytes>24960</leakedbytes><leakedblocks>6</leakedblocks></xwhat>
<stack><frame><ip>0x1</ip><obj>/usr/libexec/valgrind/vgpreload.so</obj><fn>malloc</fn></frame>
<frame><ip>0x2</ip><obj>/lib/libMagickWand-6.Q16.so.6</obj><fn>CloneMagickWand</fn></frame></stack></error>
<error><kind>UninitValue</kind></error></valgrindoutput>
"""

MASSIF = """#-----------
snapshot=0
#-----------
heap_tree=empty
snapshot=1
heap_tree=detailed
n2: 400 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.
 n1: 300 0x4C1: AcquireCriticalMemory (in /lib/libMagickCore-6.Q16.so.6)
  n0: 300 0x4D2: CloneMagickWand (in /lib/libMagickWand-6.Q16.so.6)
 n0: 100 0x5E3: ??? (in /usr/bin/python3.11)
snapshot=2
heap_tree=peak
n1: 900 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.
 n0: 900 0x4D2: CloneMagickWand (in /lib/libMagickWand-6.Q16.so.6)
"""


def test_a_report_of_leaksanitizer_is_parsed() -> None:
    direct, indirect = lsan.parse(LSAN.splitlines())

    assert (direct.direct, direct.bytes, direct.blocks) == (True, 83_200, 20)
    assert called_function(tuple(direct.stack)) == "CloneMagickWand"
    assert (indirect.direct, indirect.bytes) == (False, 4_800_000)


def test_the_xml_of_memcheck_is_parsed(tmp_path: Path) -> None:
    (tmp_path / "memcheck.xml").write_text(MEMCHECK)

    (lost,) = memcheck.parse(tmp_path / "memcheck.xml")

    assert (lost.direct, lost.bytes, lost.blocks) == (True, 24_960, 6)
    assert called_function(tuple(lost.stack)) == "CloneMagickWand"


def test_the_peak_of_massif_is_the_highest_of_all_snapshots() -> None:
    assert (
        massif.peak_bytes(["snapshot=0", "mem_heap_B=70", "heap_tree=empty", "mem_heap_B=900", "mem_heap_B=9"]) == 900
    )


def test_the_largest_snapshot_of_massif_is_parsed_by_stack() -> None:
    ((stack, size),) = massif.peak_snapshot(MASSIF.splitlines()).items()
    first = massif.peak_snapshot(MASSIF.partition("snapshot=2")[0].splitlines())

    assert (called_function(stack), size) == ("CloneMagickWand", 900)
    assert {called_function(stack): size for stack, size in first.items()} == {
        "CloneMagickWand": 300,
        "malloc, called by Python itself": 100,
    }


def test_every_offered_instrument_exists() -> None:
    from typing import get_args

    from cli.commands.leaks import Instrument

    assert get_args(Instrument) == ("auto", *NAMES)
    assert all(callable(load_instrument(name)) for name in NAMES)
