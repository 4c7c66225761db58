"""Searching the memory and the environment of processes, as root."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

# Bytes that are read at a time. A match may begin in one part and end in the next, so parts overlap by OVERLAP.
PART = 4 << 20
OVERLAP = 256

MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r(.).p ")


def search_process(pid: int, words: Iterable[str]) -> set[str]:
    """Those of `words` that the environment or the writable private memory of the process contains.

    Raises ProcessLookupError or FileNotFoundError if the process has ended.
    """
    pattern = re.compile(b"|".join(re.escape(word.encode()) for word in words))
    found = set(pattern.findall(Path(f"/proc/{pid}/environ").read_bytes()))
    for part in _read_memory(pid):
        found.update(pattern.findall(part))
    return {word.decode() for word in found}


def _read_memory(pid: int) -> Iterator[bytes]:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            mapping = MAPPING.match(line)
            if mapping is None or mapping[3] != "w":  # what cannot be written is a part of a file
                continue
            start, end = int(mapping[1], 16), int(mapping[2], 16)
            for position in range(start, end, PART):
                with suppress(OSError):  # unmapped meanwhile
                    memory.seek(max(start, position - OVERLAP))
                    yield memory.read(min(end, position + PART) - max(start, position - OVERLAP))
