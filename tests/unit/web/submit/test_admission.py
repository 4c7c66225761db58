"""Admission: which renders are admitted, and what a rejected client is told."""

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
    """Returns its depth or raises BrokerUnavailable, and counts the calls."""

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth
        self.calls = 0
        self.unavailable = False

    def __call__(self, name: str) -> int:
        self.calls += name == "render"
        if self.unavailable:
            raise BrokerUnavailable
        return self.depth if name == "render" else 0


def outcome(controller: AdmissionController, queue: str = RENDER) -> str:
    """The outcome of one render."""

    async def admit() -> str:
        try:
            await controller.check()
            if controller._refreshing:
                await controller._refreshing
            controller.check_queue(queue)
        except Problem as problem:
            return problem.code
        except BrokerUnavailable:
            return "unavailable"
        controller.record_admitted(queue)
        return "admitted"

    return asyncio.run(admit())


@pytest.fixture
def setup() -> tuple[AdmissionController, Queue, Clock]:
    clock, queue = Clock(), Queue()
    return AdmissionController(queue, 3, clock), queue, clock


@pytest.mark.parametrize(
    ("waiting", "rate", "seconds"),
    [(100, 10.0, 1), (150, 10.0, 6), (100, 0.1, 100), (10_000, 0.1, MAX_RETRY_AFTER), (100, 0.0, DEFAULT_RETRY_AFTER)],
)
def test_given_a_full_queue_and_its_drain_rate_then_retry_after_is_when_a_tenth_is_free(
    waiting: int, rate: float, seconds: int
) -> None:
    assert retry_after(waiting, 100, rate) == seconds


def test_given_two_depths_then_the_drain_rate_includes_admitted_renders_and_is_smoothed() -> None:
    assert drain_rate(0, depth_before=10, admitted=20, depth_now=10, seconds=2) == 10
    assert drain_rate(10, depth_before=10, admitted=0, depth_now=10, seconds=1) == pytest.approx(7)
    assert drain_rate(0, depth_before=0, admitted=0, depth_now=50, seconds=1) == 0


def test_given_room_when_too_many_renders_arrive_between_two_refreshes_then_the_controller_counts_them(
    setup: tuple[AdmissionController, Queue, Clock],
) -> None:
    controller, queue, _clock = setup
    assert [outcome(controller) for _ in range(5)] == ["admitted", "admitted", "admitted", "queue-full", "queue-full"]
    assert queue.calls == 1


def test_given_a_full_queue_when_it_drains_then_renders_are_admitted_after_the_next_refresh(
    setup: tuple[AdmissionController, Queue, Clock],
) -> None:
    controller, queue, clock = setup
    queue.depth = 3
    assert outcome(controller) == "queue-full"
    queue.depth = 1
    clock.now += 1.1
    outcome(controller)
    assert outcome(controller) == "admitted"
    assert queue.calls == 2


def test_given_an_unavailable_broker_then_it_is_read_once_a_second_until_it_recovers(
    setup: tuple[AdmissionController, Queue, Clock],
) -> None:
    controller, queue, clock = setup
    queue.unavailable = True
    assert [outcome(controller) for _ in range(5)] == ["unavailable"] * 5
    assert queue.calls == 1
    clock.now += 1.1
    assert outcome(controller) == "unavailable"
    queue.unavailable = False
    clock.now += 1.1
    assert outcome(controller) == "admitted"


def test_given_an_outdated_depth_when_a_render_arrives_then_it_waits_for_a_refresh(
    setup: tuple[AdmissionController, Queue, Clock],
) -> None:
    controller, queue, clock = setup
    assert outcome(controller) == "admitted"
    queue.depth = 3
    clock.now += MAX_DEPTH_AGE + 1
    assert outcome(controller) == "queue-full"


def test_given_concurrent_requests_when_a_refresh_is_due_then_they_share_it() -> None:
    queue = Queue()
    controller = AdmissionController(queue, 1000, Clock())

    async def rush() -> None:
        await asyncio.gather(*(controller.check() for _ in range(50)))

    asyncio.run(rush())
    assert queue.calls == 1


def test_given_a_full_queue_then_the_problem_states_its_depth_and_when_to_retry(
    setup: tuple[AdmissionController, Queue, Clock],
) -> None:
    problem = setup[0].queue_full(TILES)
    assert problem.http_status == 429
    assert problem.message == "The queue 'render.tiles' is full: 0 renders are waiting. Try again in 10 s."


def test_given_a_full_queue_when_a_render_for_another_queue_arrives_then_it_is_admitted(
    setup: tuple[AdmissionController, Queue, Clock],
) -> None:
    controller, queue, _clock = setup
    queue.depth = 3
    assert [outcome(controller), outcome(controller, TILES), outcome(controller, LARGE)] == [
        "queue-full",
        "admitted",
        "admitted",
    ]
    assert controller.waiting == {RENDER: 3, TILES: 0, LARGE: 0}
