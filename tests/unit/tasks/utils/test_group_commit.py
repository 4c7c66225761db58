"""Group commit: many threads, few batches."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.utils.group_commit import CommitInterrupted, GroupCommit

TIMEOUT = 10.0


def test_items_that_arrive_during_a_commit_form_the_next_batch() -> None:
    batches: list[list[int]] = []
    started, proceed = threading.Event(), threading.Event()

    def commit_batch(items: Sequence[int]) -> None:
        batches.append(list(items))
        started.set()
        assert proceed.wait(TIMEOUT)

    group_commit = GroupCommit(commit_batch)
    with ThreadPoolExecutor(6) as threads:
        done = [threads.submit(group_commit.commit, 0)]
        assert started.wait(TIMEOUT)
        done += [threads.submit(group_commit.commit, number) for number in range(1, 6)]
        while len(group_commit._waiting) < 5:
            pass
        proceed.set()
        for future in done:
            future.result(TIMEOUT)

    assert batches[0] == [0]
    assert len(batches) == 2
    assert sorted(batches[1]) == [1, 2, 3, 4, 5]


def test_given_many_threads_then_every_item_is_committed_exactly_once() -> None:
    committed: list[int] = []
    group_commit = GroupCommit(committed.extend)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(group_commit.commit, range(2000)))

    assert sorted(committed) == list(range(2000))


def test_an_error_is_raised_for_its_batch_only() -> None:
    group_commit = GroupCommit[int](lambda items: [1 // item for item in items])

    with pytest.raises(ZeroDivisionError):
        group_commit.commit(0)
    group_commit.commit(1)


def test_an_item_error_does_not_fail_the_other_items_of_the_batch() -> None:
    committed: list[int] = []

    class FaultyError(Exception):
        pass

    def commit_batch(items: Sequence[int]) -> None:
        if 0 in items:
            raise FaultyError
        committed.extend(items)

    group_commit = GroupCommit(commit_batch, item_errors=(FaultyError,))
    entries = [group_commit._enqueue(number) for number in (0, 1, 2)]

    with pytest.raises(FaultyError):
        group_commit._wait(entries[0])
    group_commit._wait(entries[1])
    group_commit._wait(entries[2])

    assert committed == [1, 2]


@pytest.mark.parametrize("interruption", [SystemExit, KeyboardInterrupt])
def test_given_a_leader_that_is_interrupted_then_its_followers_get_an_error(
    interruption: type[BaseException],
) -> None:
    committed: list[int] = []
    started, proceed = threading.Event(), threading.Event()

    def commit_batch(items: Sequence[int]) -> None:
        if items == [0]:  # hold the lock until the next batch is complete
            started.set()
            assert proceed.wait(TIMEOUT)
        elif 3 not in items:
            raise interruption
        committed.extend(items)

    group_commit = GroupCommit(commit_batch)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(group_commit.commit, 0)
        assert started.wait(TIMEOUT)
        others = [threads.submit(group_commit.commit, number) for number in (1, 2)]
        while len(group_commit._waiting) < 2:
            pass
        proceed.set()
        first.result(TIMEOUT)
        errors = [future.exception(TIMEOUT) for future in others]

    assert {type(error) for error in errors} == {interruption, CommitInterrupted}
    group_commit.commit(3)
    assert committed == [0, 3]


def test_given_a_leader_interrupted_while_it_commits_items_separately_then_the_rest_gets_an_error() -> None:
    def commit_batch(items: Sequence[int]) -> None:
        if len(items) > 1:
            raise ValueError
        if items == [1]:
            raise SystemExit

    group_commit = GroupCommit(commit_batch, item_errors=(ValueError,))
    entries = [group_commit._enqueue(number) for number in (0, 1, 2)]

    with pytest.raises(SystemExit):
        group_commit._wait(entries[1])
    group_commit._wait(entries[0])
    with pytest.raises(CommitInterrupted, match="Try again"):
        group_commit._wait(entries[2])
