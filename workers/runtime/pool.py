"""A prefork pool that sees at once when a child has ended, and replaces one that has grown (setting `worker_pool`).

Celery watches the pipe that a child's end closes. The kernel closes it a moment before the child can be collected, so
the pool often finds nobody to collect, forgets the pipe, and looks again when its timer fires: up to 5 s later, after
every kill and every replaced child. A pidfd becomes readable just when the child can be collected (pidfd_open(2)).
"""

import gc
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from billiard.pool import EX_OK, EX_RECYCLE
from celery.concurrency.asynpool import AsynPool
from celery.concurrency.asynpool import Worker as CeleryWorker
from celery.concurrency.prefork import TaskPool as CeleryTaskPool
from celery.utils.log import get_logger

from tasks.settings import settings
from workers.runtime.recycling import ChildLifetime, RecyclingPolicy
from workers.sandbox.cgroup import read_memory

logger = get_logger(__name__)

# How long, and how often, a child that leaves looks whether its parent has heard of its last job (seconds).
RESULTS_CONSUMED_TIMEOUT = 30.0
RESULTS_CONSUMED_POLL_INTERVAL = 0.002


class Worker(CeleryWorker):
    """What runs in a child: Celery's loop, left between two jobs when the child's lifetime is over."""

    def on_loop_start(self, pid: int) -> None:
        """The child is ready."""
        chosen = settings()
        self._lifetime = ChildLifetime(RecyclingPolicy(chosen.max_child_age, chosen.max_child_memory_growth))
        super().on_loop_start(pid)

    def _make_child_methods(self, *args: Any, **kwargs: Any) -> None:
        super()._make_child_methods(*args, **kwargs)
        receive: Callable[[], Any] = self.wait_for_job

        def wait_for_job() -> Any:
            if reason := self._lifetime.recycle_reason():
                logger.info("Worker child %d is replaced. %s", os.getpid(), reason)
                raise SystemExit(EX_RECYCLE)
            return receive()

        self.wait_for_job: Callable[[], Any] = wait_for_job

    def _ensure_messages_consumed(self, completed: int) -> bool:
        """Wait until the parent has heard of every job. Celery looks ten times a second: a tenth for each new child."""
        deadline = time.monotonic() + RESULTS_CONSUMED_TIMEOUT
        while self.on_ready_counter.value < completed:
            if time.monotonic() > deadline:
                logger.warning("The parent did not hear of every job of worker child %d.", os.getpid())
                return False
            time.sleep(RESULTS_CONSUMED_POLL_INTERVAL)
        return True


class Pool(AsynPool):
    """Celery's pool, watching pidfds."""

    Worker = Worker

    # Children that left by themselves, to be replaced, and those that ended otherwise: killed, or crashed.
    recycled = crashed = 0

    def _repopulate_pool(self, exitcodes: list[int]) -> None:
        left = sum(status in (EX_OK, EX_RECYCLE) for status in exitcodes)
        self.recycled += left
        self.crashed += len(exitcodes) - left
        super()._repopulate_pool(exitcodes)

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        if not hasattr(proc, "_sentinel_poll"):
            with suppress(ProcessLookupError):  # ended and collected: the pipe will do
                proc._sentinel_poll = os.pidfd_open(proc.pid)
        super()._track_child_process(proc, hub)

    def did_start_ok(self) -> bool:
        """Whether no child left by itself. One that was killed before its parent was ready must not take it along."""
        ended: list[int] = self._join_exited_workers()
        if any(status >= 0 for status in ended):
            return False
        self._repopulate_pool(ended)
        return True


class TaskPool(CeleryTaskPool):
    """What Celery calls a pool, around ours."""

    Pool = Pool

    def _get_info(self) -> dict[str, Any]:
        """What `celery inspect stats` tells of the pool, and the fence around it, in bytes."""
        now = read_memory()
        fence = {"current": now.current, "peak": now.peak, "limit": now.limit}
        left = {"recycled": self._pool.recycled, "died": self._pool.died}
        return {**super()._get_info(), "fence": fence, "children": left}

    def on_start(self) -> None:
        """Start the children. All that lives by now lives for good: the collector, which Celery runs before every
        fork, need not look at it, nor a child write into the pages that it shares with its parent.
        """
        gc.collect()
        gc.freeze()
        super().on_start()
