"""Doing together what many threads ask for at once."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Entry(Generic[T]):
    item: T
    done: bool = False
    error: BaseException | None = None


class Together(Generic[T]):
    """Threads that come while `work` is under way wait, and then one of them works for all: a group commit.

    A commit waits for the disk, however little it writes, and a database takes one after the other. `faults` are the
    errors that one item may cause for all; each is then worked on by itself.
    """

    def __init__(self, work: Callable[[Sequence[T]], object], faults: tuple[type[Exception], ...] = ()) -> None:
        self._work = work
        self._faults = faults
        self._waiting: deque[_Entry[T]] = deque()
        self._turn = threading.Lock()

    def do(self, item: T) -> None:
        """Return when `work` has done `item`, perhaps among others; raises what `work` raised."""
        self._settle(self._entry(item))

    def _entry(self, item: T) -> _Entry[T]:
        entry = _Entry(item)
        self._waiting.append(entry)
        return entry

    def _settle(self, entry: _Entry[T]) -> None:
        with self._turn:
            if not entry.done:
                self._do_all([self._waiting.popleft() for _ in range(len(self._waiting))])
        if entry.error:
            raise entry.error

    def _do_all(self, batch: Sequence[_Entry[T]]) -> None:
        try:
            self._work([entry.item for entry in batch])
        except Exception as error:  # noqa: BLE001 -- each of them gets it
            if isinstance(error, self._faults) and len(batch) > 1:
                for entry in batch:
                    self._do_all([entry])
                return
            for entry in batch:
                entry.error = error
        for entry in batch:
            entry.done = True
