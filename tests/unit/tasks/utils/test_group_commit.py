"""Group commits: many threads, few rounds of work."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.utils.group_commit import GroupCommit

PATIENCE = 10.0


def test_what_comes_while_work_is_under_way_is_done_in_one_round() -> None:
    rounds: list[list[int]] = []
    under_way, go_on = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> None:
        rounds.append(list(items))
        under_way.set()
        assert go_on.wait(PATIENCE)

    together = GroupCommit(work)
    with ThreadPoolExecutor(6) as threads:
        done = [threads.submit(together.commit, 0)]
        assert under_way.wait(PATIENCE)
        done += [threads.submit(together.commit, number) for number in range(1, 6)]
        while len(together._waiting) < 5:
            pass
        go_on.set()
        for future in done:
            future.result(PATIENCE)

    assert rounds[0] == [0]
    assert len(rounds) == 2
    assert sorted(rounds[1]) == [1, 2, 3, 4, 5]


def test_nothing_is_lost_and_nothing_done_twice_under_many_threads() -> None:
    seen: list[int] = []
    together = GroupCommit(seen.extend)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(together.commit, range(2000)))

    assert sorted(seen) == list(range(2000))


def test_whoever_asked_gets_the_error_and_the_next_one_starts_afresh() -> None:
    together = GroupCommit[int](lambda items: [1 // item for item in items])

    with pytest.raises(ZeroDivisionError):
        together.commit(0)
    together.commit(1)


def test_the_fault_of_one_does_not_fail_the_others() -> None:
    seen: list[int] = []

    class FaultyError(Exception):
        pass

    def work(items: Sequence[int]) -> None:
        if 0 in items:
            raise FaultyError
        seen.extend(items)

    together = GroupCommit(work, item_errors=(FaultyError,))
    entries = [together._enqueue(number) for number in (0, 1, 2)]

    with pytest.raises(FaultyError):
        together._wait(entries[0])
    together._wait(entries[1])
    together._wait(entries[2])

    assert seen == [1, 2]
