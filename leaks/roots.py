"""Who lost it: of the blocks that survive, those that no other survivor points to. Pure.

Where memory was allocated is not who is to blame: of a cloned wand, nine tenths of the bytes are pixels that some later
call allocated. The wand itself is what nobody holds; it keeps all the rest alive. So survivors form a graph, its roots
are named by the call that made them, and each root answers for all that it reaches.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath


@dataclass(frozen=True, slots=True)
class Frame:
    """A function, the file that it lives in, and the offset or line there."""

    function: str
    file: str
    location: str = ""

    @property
    def label(self) -> str:
        """How reports call it: the function, else file and place."""
        return self.function or f"{PurePath(self.file).name}+{self.location}"


Stack = tuple[Frame, ...]  # innermost first


@dataclass(frozen=True, slots=True)
class Root:
    """`function` was called by the job, and lost what it made; `born` allocated it. `bytes` and `blocks` are all that
    it keeps alive, in all measured jobs; `count` is how many such roots there are."""

    lost_by: str
    allocated_by: str
    bytes: int
    blocks: int
    count: int
    stack: Stack


@dataclass(frozen=True, slots=True)
class AllocationSite:
    """A stack, and what was allocated there and lives on."""

    stack: Stack
    bytes: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Block:
    """A surviving block. `serial` counts births."""

    serial: int
    job: int
    bytes: int
    stack: int


@dataclass(slots=True)
class Survivors:
    """The graph of what survives: `points[i]` are the blocks that block i points to."""

    blocks: list[Block] = field(default_factory=list)
    edges: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    stacks: dict[int, Stack] = field(default_factory=dict)

    def sites(self) -> list[AllocationSite]:
        """By stack, the largest first."""
        sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for block in self.blocks:
            sums[block.stack][0] += block.bytes
            sums[block.stack][1] += 1
        places = [AllocationSite(self.stacks.get(stack, ()), *totals) for stack, totals in sums.items()]
        return sorted(places, key=lambda place: -place.bytes)

    def roots(self) -> list[Root]:
        """Roots of one kind together, those that keep the most alive first."""
        kinds: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        for root, held in self._reachable_by_root():
            kind = kinds[self.blocks[root].stack]
            kind[0] += sum(self.blocks[each].bytes for each in held)
            kind[1] += len(held)
            kind[2] += 1
        roots = [make_root(self.stacks.get(stack, ()), *totals) for stack, totals in kinds.items()]
        return sorted(roots, key=lambda root: -root.bytes)

    def _reachable_by_root(self) -> Iterator[tuple[int, list[int]]]:
        """Each root with all that it reaches and no earlier root does."""
        pointed = {to for targets in self.edges.values() for to in targets}
        by_birth = sorted(range(len(self.blocks)), key=lambda index: self.blocks[index].serial)
        seen: set[int] = set()
        # A ring has no root: its first-born stands for it.
        for index in (*(each for each in by_birth if each not in pointed), *by_birth):
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
    """What the tagger dumped."""
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
    """A root from the stack that allocated it."""
    return Root(called_function(stack), allocating_function(stack), size, blocks, count, stack)


# Functions that allocate for others: not who asked.
_ALLOCATORS = re.compile(
    r"(__(libc|interceptor|GI__*libc)_)?(malloc|calloc|realloc|reallocarray|memalign|posix_memalign|aligned_alloc|valloc)$"
    r"|(Acquire|Resize)(Magick|Quantum|Aligned|Virtual|Critical)Memory$|ConstantString$|AcquireString$|CloneString$"
    r"|g_(malloc|realloc|slice|strdup|memdup)|_Zn[wa]m|operator new|strn?dup$"
    r"|Py(Mem|Object)_(Raw)?(Malloc|Calloc|Realloc)$"
)

# Where Python begins: libffi and ctypes, cffi, the interpreter.
_INTERPRETER = re.compile(r"(^|/)(libpython|python[\d.]*$)")
_PYTHON = re.compile(rf"(^|/)(libffi|_ctypes|_cffi_backend)|{_INTERPRETER.pattern}|\.py$")

# The same for tools that know functions but not their files.
_PYTHON_CALLS = re.compile(r"ffi_call|_?Py[A-Z]|_start$")


def allocating_function(stack: Stack) -> str:
    """The function that asked for the memory."""
    if not stack:
        return "unknown"
    if _PYTHON.search(stack[0].file) and not stack[0].function:
        return "malloc, called by Python itself" if _INTERPRETER.search(stack[0].file) else "malloc, called by ctypes"
    return next((frame.label for frame in stack if not _ALLOCATORS.match(frame.function)), stack[-1].label)


def called_function(stack: Stack) -> str:
    """The native function that Python called; the one that asked for the memory where there is none."""
    native: list[Frame] = []
    for frame in stack:
        if _PYTHON.search(frame.file) or _PYTHON_CALLS.match(frame.function):
            break
        native.append(frame)
    named = [frame for frame in native if frame.function and not _ALLOCATORS.match(frame.function)]
    return named[-1].function if named else allocating_function(stack)
