"""The gate: when a render is let in, and what a refused client is told."""

from __future__ import annotations

import asyncio

import pytest

from tasks.messaging.connections import BrokerUnavailable
from tasks.messaging.topology import LARGE, RENDER, TILES
from tests.unit.web.support import Clock
from web.problems import Problem
from web.submit.admission import (
    DEFAULT_RETRY_AFTER,
    MAX_DEPTH_AGE,
    MAX_RETRY_AFTER,
    AdmissionController,
    drain_rate,
    retry_after,
)


class Queue:
    """Says its depth, or that the broker is away; counts how often it was asked."""

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth
        self.asked = 0
        self.away = False

    def __call__(self, name: str) -> int:
        self.asked += name == "render"
        if self.away:
            raise BrokerUnavailable
        return self.depth if name == "render" else 0


def outcome(gate: AdmissionController, lane: str = RENDER) -> str:
    """What the gate does with one render."""

    async def admit() -> str:
        try:
            await gate.check()
            if gate._refreshing:
                await gate._refreshing
            gate.check_queue(lane)
        except Problem as problem:
            return problem.code
        except BrokerUnavailable:
            return "unavailable"
        gate.record_admitted(lane)
        return "in"

    return asyncio.run(admit())


@pytest.fixture
def made() -> tuple[AdmissionController, Queue, Clock]:
    clock, queue = Clock(), Queue()
    return AdmissionController(queue, 3, clock), queue, clock


@pytest.mark.parametrize(
    ("waiting", "rate", "seconds"),
    [(100, 10.0, 1), (150, 10.0, 6), (100, 0.1, 100), (10_000, 0.1, MAX_RETRY_AFTER), (100, 0.0, DEFAULT_RETRY_AFTER)],
)
def test_given_a_queue_and_its_drain_rate_when_full_then_the_wait_is_until_a_tenth_is_free(
    waiting: int, rate: float, seconds: int
) -> None:
    assert retry_after(waiting, 100, rate) == seconds


def test_given_two_depths_when_compared_then_the_rate_counts_what_was_added_and_is_smoothed() -> None:
    assert drain_rate(0, depth_before=10, admitted=20, depth_now=10, seconds=2) == 10
    assert drain_rate(10, depth_before=10, admitted=0, depth_now=10, seconds=1) == pytest.approx(7)
    assert drain_rate(0, depth_before=0, admitted=0, depth_now=50, seconds=1) == 0


def test_given_room_when_more_come_than_fit_between_two_looks_then_the_gate_counts_them_itself(
    made: tuple[AdmissionController, Queue, Clock],
) -> None:
    gate, queue, _clock = made
    assert [outcome(gate) for _ in range(5)] == ["in", "in", "in", "queue-full", "queue-full"]
    assert queue.asked == 1


def test_given_a_full_queue_when_it_drains_then_the_next_look_opens_the_gate(
    made: tuple[AdmissionController, Queue, Clock],
) -> None:
    gate, queue, clock = made
    queue.depth = 3
    assert outcome(gate) == "queue-full"
    queue.depth = 1
    clock.now += 1.1
    outcome(gate)
    assert outcome(gate) == "in"
    assert queue.asked == 2


def test_given_a_broker_that_is_away_when_asked_then_it_is_asked_once_a_second_and_heals_by_itself(
    made: tuple[AdmissionController, Queue, Clock],
) -> None:
    gate, queue, clock = made
    queue.away = True
    assert [outcome(gate) for _ in range(5)] == ["unavailable"] * 5
    assert queue.asked == 1
    clock.now += 1.1
    assert outcome(gate) == "unavailable"
    queue.away = False
    clock.now += 1.1
    assert outcome(gate) == "in"


def test_given_a_depth_of_long_ago_when_a_render_comes_then_it_waits_for_a_new_one(
    made: tuple[AdmissionController, Queue, Clock],
) -> None:
    gate, queue, clock = made
    assert outcome(gate) == "in"
    queue.depth = 3
    clock.now += MAX_DEPTH_AGE + 1
    assert outcome(gate) == "queue-full"


def test_given_many_at_once_when_a_look_is_due_then_one_look_serves_them_all() -> None:
    queue = Queue()
    gate = AdmissionController(queue, 1000, Clock())

    async def rush() -> None:
        await asyncio.gather(*(gate.check() for _ in range(50)))

    asyncio.run(rush())
    assert queue.asked == 1


def test_given_a_full_queue_when_refused_then_the_problem_names_depth_and_wait(
    made: tuple[AdmissionController, Queue, Clock],
) -> None:
    problem = made[0].queue_full(TILES)
    assert problem.http_status == 429
    assert problem.message == "The queue 'render.tiles' is full: 0 renders are waiting. Try again in 10 s."


def test_given_a_full_lane_when_a_render_of_another_one_comes_then_it_is_let_in(
    made: tuple[AdmissionController, Queue, Clock],
) -> None:
    gate, queue, _clock = made
    queue.depth = 3
    assert [outcome(gate), outcome(gate, TILES), outcome(gate, LARGE)] == ["queue-full", "in", "in"]
    assert gate.waiting == {RENDER: 3, TILES: 0, LARGE: 0}
