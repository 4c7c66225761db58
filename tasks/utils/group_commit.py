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


class GroupCommit(Generic[T]):
    """Threads that come while `work` is under way wait, and then one of them works for all: a group commit.

    A commit waits for the disk, however little it writes, and a database takes one after the other. `faults` are the
    errors that one item may cause for all; each is then worked on by itself.
    """

    def __init__(
        self, commit_batch: Callable[[Sequence[T]], object], item_errors: tuple[type[Exception], ...] = ()
    ) -> None:
        self._commit_batch = commit_batch
        self._item_errors = item_errors
        self._waiting: deque[_Entry[T]] = deque()
        self._leader = threading.Lock()

    def commit(self, item: T) -> None:
        """Return when `work` has done `item`, perhaps among others; raises what `work` raised."""
        self._wait(self._enqueue(item))

    def _enqueue(self, item: T) -> _Entry[T]:
        entry = _Entry(item)
        self._waiting.append(entry)
        return entry

    def _wait(self, entry: _Entry[T]) -> None:
        with self._leader:
            if not entry.done:
                self._commit_all([self._waiting.popleft() for _ in range(len(self._waiting))])
        if entry.error:
            raise entry.error

    def _commit_all(self, batch: Sequence[_Entry[T]]) -> None:
        try:
            self._commit_batch([entry.item for entry in batch])
        except Exception as error:  # noqa: BLE001 -- each of them gets it
            if isinstance(error, self._item_errors) and len(batch) > 1:
                for entry in batch:
                    self._commit_all([entry])
                return
            for entry in batch:
                entry.error = error
        for entry in batch:
            entry.done = True
