"""Finds the functions that leak: the surviving blocks that no other survivor points to. Pure.

The function that allocated memory is often not the one that leaked it: nine tenths of the bytes of a leaked wand are
pixels that later calls allocated. The wand itself is what nothing points to, and it keeps the rest alive. Therefore
survivors form a graph. Its roots are named after the calls that created them, and each root accounts for all blocks
that it reaches.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath


@dataclass(frozen=True, slots=True)
class Frame:
    """A function, its file, and the offset or line in it."""

    function: str
    file: str
    location: str = ""

    @property
    def label(self) -> str:
        """Its name in reports: the function, or the file and location."""
        return self.function or f"{PurePath(self.file).name}+{self.location}"


Stack = tuple[Frame, ...]  # innermost first


@dataclass(frozen=True, slots=True)
class Root:
    """`leaked_by` is the function that the job called, `allocated_by` the one that allocated the block. `bytes` and
    `blocks` are everything that the roots keep alive, over all measured jobs; `count` is the number of such roots."""

    leaked_by: str
    allocated_by: str
    bytes: int
    blocks: int
    count: int
    stack: Stack


@dataclass(frozen=True, slots=True)
class AllocationSite:
    """A stack, and the surviving memory that was allocated there."""

    stack: Stack
    bytes: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Block:
    """A surviving block. `serial` numbers allocations, `job` is the job that allocated it."""

    serial: int
    job: int
    bytes: int
    stack: int


@dataclass(slots=True)
class Survivors:
    """The graph of surviving blocks: `edges[i]` are the blocks that block i points to."""

    blocks: list[Block] = field(default_factory=list)
    edges: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    stacks: dict[int, Stack] = field(default_factory=dict)

    def sites(self) -> list[AllocationSite]:
        """Sums by stack, the largest first."""
        sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for block in self.blocks:
            sums[block.stack][0] += block.bytes
            sums[block.stack][1] += 1
        places = [AllocationSite(self.stacks.get(stack, ()), *totals) for stack, totals in sums.items()]
        return sorted(places, key=lambda place: -place.bytes)

    def roots(self) -> list[Root]:
        """Roots grouped by stack, those that keep the most bytes alive first."""
        kinds: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        for root, held in self._reachable_by_root():
            kind = kinds[self.blocks[root].stack]
            kind[0] += sum(self.blocks[each].bytes for each in held)
            kind[1] += len(held)
            kind[2] += 1
        roots = [make_root(self.stacks.get(stack, ()), *totals) for stack, totals in kinds.items()]
        return sorted(roots, key=lambda root: -root.bytes)

    def _reachable_by_root(self) -> Iterator[tuple[int, list[int]]]:
        """Each root with the blocks that it reaches and no earlier root reaches."""
        targets_of_edges = {to for targets in self.edges.values() for to in targets}
        by_age = sorted(range(len(self.blocks)), key=lambda index: self.blocks[index].serial)
        seen: set[int] = set()
        # A cycle has no root: its oldest block represents it.
        for index in (*(each for each in by_age if each not in targets_of_edges), *by_age):
            if index not in seen:
                yield index, list(self._reach(index, seen))

    def _reach(self, start: int, seen: set[int]) -> Iterator[int]:
        waiting = [start]
        seen.add(start)
        while waiting:
            index = waiting.pop()
            yield index
            for to in self.edges.get(index, ()):
                if to not in seen:
                    seen.add(to)
                    waiting.append(to)


def parse_dump(lines: Iterable[str]) -> Survivors:
    """Parse a dump of the tagger."""
    survivors = Survivors()
    frames: dict[int, list[Frame]] = defaultdict(list)
    for line in lines:
        kind, _, rest = line.rstrip("\n").partition(" ")
        if kind == "B":
            _index, serial, job, size, stack = map(int, rest.split())
            survivors.blocks.append(Block(serial, job, size, stack))
        elif kind == "E":
            origin, to = map(int, rest.split())
            survivors.edges[origin].append(to)
        elif kind == "F":
            number, function, file, offset = rest.split("\t")
            frames[int(number)].append(Frame(function, file, f"0x{offset}"))
    survivors.stacks = {number: tuple(stack) for number, stack in frames.items()}
    return survivors


def make_root(stack: Stack, size: int, blocks: int, count: int) -> Root:
    """The root for a stack of an allocation."""
    return Root(called_function(stack), allocating_function(stack), size, blocks, count, stack)


# Functions that allocate on behalf of their callers.
_ALLOCATORS = re.compile(
    r"(__(libc|interceptor|GI__*libc)_)?(malloc|calloc|realloc|reallocarray|memalign|posix_memalign|aligned_alloc|valloc)$"
    r"|(Acquire|Resize)(Magick|Quantum|Aligned|Virtual|Critical)Memory$|ConstantString$|AcquireString$|CloneString$"
    r"|g_(malloc|realloc|slice|strdup|memdup)|_Zn[wa]m|operator new|strn?dup$"
    r"|Py(Mem|Object)_(Raw)?(Malloc|Calloc|Realloc)$"
)

# Frames of Python: libffi and ctypes, cffi, the interpreter.
_INTERPRETER = re.compile(r"(^|/)(libpython|python[\d.]*$)")
_PYTHON = re.compile(rf"(^|/)(libffi|_ctypes|_cffi_backend)|{_INTERPRETER.pattern}|\.py$")

# The same for tools that report functions without their files.
_PYTHON_CALLS = re.compile(r"ffi_call|_?Py[A-Z]|_start$")


def allocating_function(stack: Stack) -> str:
    """The function that requested the memory."""
    if not stack:
        return "unknown"
    if _PYTHON.search(stack[0].file) and not stack[0].function:
        return "malloc, called by Python itself" if _INTERPRETER.search(stack[0].file) else "malloc, called by ctypes"
    return next((frame.label for frame in stack if not _ALLOCATORS.match(frame.function)), stack[-1].label)


def called_function(stack: Stack) -> str:
    """The native function that Python called; if there is none, the function that requested the memory."""
    native: list[Frame] = []
    for frame in stack:
        if _PYTHON.search(frame.file) or _PYTHON_CALLS.match(frame.function):
            break
        native.append(frame)
    named = [frame for frame in native if frame.function and not _ALLOCATORS.match(frame.function)]
    return named[-1].function if named else allocating_function(stack)
