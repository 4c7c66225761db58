"""The graph of survivors, and who is named."""

import pytest

from leaks.roots import Frame, allocating_function, called_function, parse_dump

WAND = "F 1\tAcquireMagickMemory\t/lib/libMagickCore.so\t10\nF 1\tCloneMagickWand\t/lib/libMagickWand.so\t20\n"
WAND += "F 1\tffi_call\t/lib/libffi.so.8\t30\nF 1\t_PyEval\t/usr/bin/python3.11\t40\n"
PIXELS = "F 2\tAcquireAlignedMemory\t/lib/libMagickCore.so\t50\nF 2\t\t/lib/libMagickCore.so\t60\n"
PIXELS += "F 2\tMagickCompositeImage\t/lib/libMagickWand.so\t70\nF 2\tffi_call\t/lib/libffi.so.8\t30\n"

# A wand (block 0) that points to an image (1), that points to its pixels (2) and back.
DUMP = f"B 0 5 11 100 1\nE 0 1\nB 1 6 11 200 1\nE 1 2\nE 1 0\nB 2 7 11 240000 2\n{WAND}{PIXELS}"


def test_given_an_unreferenced_structure_then_its_oldest_block_accounts_for_all_of_it() -> None:
    (root,) = parse_dump(DUMP.splitlines()).roots()

    assert (root.leaked_by, root.allocated_by, root.bytes, root.blocks, root.count) == (
        "CloneMagickWand",
        "CloneMagickWand",
        240_300,
        3,
        1,
    )


def test_given_two_structures_from_one_call_then_they_are_one_entry_of_two_roots() -> None:
    dump = f"B 0 1 11 100 1\nB 1 2 12 100 1\n{WAND}"

    (root,) = parse_dump(dump.splitlines()).roots()

    assert (root.bytes, root.count) == (200, 2)


def test_given_survivors_then_sites_are_grouped_by_stack_largest_first() -> None:
    first, second = parse_dump(DUMP.splitlines()).sites()

    assert (first.bytes, first.stack[0].function) == (240_000, "AcquireAlignedMemory")
    assert (second.bytes, second.blocks) == (300, 2)


def test_given_a_call_into_a_library_then_the_call_and_the_allocating_function_are_named() -> None:
    stack = parse_dump(DUMP.splitlines()).stacks[2]

    assert called_function(stack) == "MagickCompositeImage"
    assert allocating_function(stack) == "libMagickCore.so+0x60"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/lib/x86_64-linux-gnu/libffi.so.8", "malloc, called by ctypes"),
        ("/usr/bin/python3.11", "malloc, called by Python itself"),
    ],
)
def test_given_a_direct_call_of_malloc_then_its_caller_is_named(file: str, name: str) -> None:
    assert called_function((Frame("", file, "0x1"),)) == name


def test_given_no_stack_then_the_name_is_unknown() -> None:
    assert (allocating_function(()), called_function(())) == ("unknown", "unknown")


def test_given_a_chain_of_many_thousand_blocks_then_there_is_no_recursion_error() -> None:
    count = 20_000
    lines = [f"B {number} {number} 1 16 1" for number in range(count)]
    lines += [f"E {number} {number + 1}" for number in range(count - 1)]

    (root,) = parse_dump([*lines, *WAND.splitlines()]).roots()

    assert root.blocks == count
