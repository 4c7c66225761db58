"""Group commit: the items of many threads are committed in one batch."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tasks.errors import ServiceUnavailable

T = TypeVar("T")


class CommitInterrupted(ServiceUnavailable):
    """The commit was interrupted: the item may or may not be stored. Try again."""

    code = "commit-interrupted"


@dataclass(slots=True)
class _Entry(Generic[T]):
    item: T
    done: bool = False
    error: Exception | None = None


class GroupCommit(Generic[T]):
    """Commits the items of many threads in batches: while one batch is committed, the next one is collected.

    A commit waits for the disk, however little it writes, and a database runs one after the other. The first thread
    that finds no commit running commits the items of all. `item_errors` are errors that a single item can cause for its
    whole batch: each item of such a batch is then committed separately.
    """

    def __init__(
        self, commit_batch: Callable[[Sequence[T]], object], item_errors: tuple[type[Exception], ...] = ()
    ) -> None:
        self._commit_batch = commit_batch
        self._item_errors = item_errors
        self._waiting: deque[_Entry[T]] = deque()
        self._leader = threading.Lock()

    def commit(self, item: T) -> None:
        """Return when `item` is committed. Raises the error of its batch, or CommitInterrupted."""
        self._wait(self._enqueue(item))

    def _enqueue(self, item: T) -> _Entry[T]:
        entry = _Entry(item)
        self._waiting.append(entry)
        return entry

    def _wait(self, entry: _Entry[T]) -> None:
        with self._leader:
            if not entry.done:
                self._lead()
        if entry.error:
            raise entry.error

    def _lead(self) -> None:
        batch: list[_Entry[T]] = []
        try:
            while self._waiting:
                batch.append(self._waiting.popleft())
            self._commit_all(batch)
        finally:
            # A SystemExit or a KeyboardInterrupt ends the leader. The others must not take its items for committed.
            for entry in batch:
                if not entry.done:
                    entry.error, entry.done = CommitInterrupted(), True

    def _commit_all(self, batch: Sequence[_Entry[T]]) -> None:
        try:
            self._commit_batch([entry.item for entry in batch])
        except Exception as error:  # noqa: BLE001 -- raised in every thread of the batch
            if isinstance(error, self._item_errors) and len(batch) > 1:
                for entry in batch:
                    self._commit_all([entry])
                return
            for entry in batch:
                entry.error = error
        for entry in batch:
            entry.done = True
