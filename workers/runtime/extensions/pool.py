"""A prefork pool that detects the end of a child at once and recycles children by age and growth (`worker_pool`).

Celery watches a pipe that closes when a child ends. The kernel closes it a moment before the child can be reaped, so
the pool often finds no child to reap, unregisters the pipe and tries again when its timer fires: up to 5 s later, for
each killed or recycled child. A pidfd becomes readable exactly when the child can be reaped (pidfd_open(2)).
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
from workers.runtime.extensions.recycling import ChildLifetime, RecyclingPolicy
from workers.sandbox.cgroup import read_memory

logger = get_logger(__name__)

# Seconds for which a child that exits waits until the parent has its last result, and between two checks.
RESULTS_CONSUMED_TIMEOUT = 30.0
RESULTS_CONSUMED_POLL_INTERVAL = 0.002


class Worker(CeleryWorker):
    """Celery's loop in a child, which exits between two jobs when the child is due for recycling."""

    def on_loop_start(self, pid: int) -> None:
        """Measure the child before its first job."""
        current = settings()
        self._lifetime = ChildLifetime(RecyclingPolicy(current.max_child_age, current.max_child_memory_growth))
        super().on_loop_start(pid)

    def _make_child_methods(self, *args: Any, **kwargs: Any) -> None:
        super()._make_child_methods(*args, **kwargs)
        next_job: Callable[[], Any] = self.wait_for_job

        def wait_for_job() -> Any:
            if reason := self._lifetime.recycle_reason():
                logger.info("Worker child %d is recycled. %s", os.getpid(), reason)
                raise SystemExit(EX_RECYCLE)
            return next_job()

        self.wait_for_job: Callable[[], Any] = wait_for_job

    def _ensure_messages_consumed(self, completed: int) -> bool:
        """Wait until the parent has all results. Celery checks every 0.1 s, which would delay each new child."""
        deadline = time.monotonic() + RESULTS_CONSUMED_TIMEOUT
        while self.on_ready_counter.value < completed:
            if time.monotonic() > deadline:
                logger.warning("The parent did not receive all results of worker child %d.", os.getpid())
                return False
            time.sleep(RESULTS_CONSUMED_POLL_INTERVAL)
        return True


class Pool(AsynPool):
    """Celery's pool, with pidfds."""

    Worker = Worker

    # Children that exited to be recycled, and children that crashed or were killed.
    recycled = crashed = 0

    def _repopulate_pool(self, exitcodes: list[int]) -> None:
        recycled = sum(status in (EX_OK, EX_RECYCLE) for status in exitcodes)
        self.recycled += recycled
        self.crashed += len(exitcodes) - recycled
        super()._repopulate_pool(exitcodes)

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        if not hasattr(proc, "_sentinel_poll"):
            with suppress(ProcessLookupError):  # already reaped: the pipe is sufficient
                proc._sentinel_poll = os.pidfd_open(proc.pid)
        super()._track_child_process(proc, hub)

    def did_start_ok(self) -> bool:
        """Whether no child exited at start-up. A child that was killed meanwhile must not stop the parent as well."""
        ended: list[int] = self._join_exited_workers()
        if any(status >= 0 for status in ended):
            return False
        self._repopulate_pool(ended)
        return True


class TaskPool(CeleryTaskPool):
    """Celery's interface to the pool."""

    Pool = Pool

    def _get_info(self) -> dict[str, Any]:
        """Pool statistics of `celery inspect stats`, with the memory of the worker's cgroup in bytes."""
        cgroup = read_memory()
        memory = {"current": cgroup.current, "peak": cgroup.peak, "limit": cgroup.limit}
        children = {"recycled": self._pool.recycled, "crashed": self._pool.crashed}
        return {**super()._get_info(), "memory": memory, "children": children}

    def on_start(self) -> None:
        """Start the children. Existing objects are exempt from garbage collection, which Celery runs before each fork:
        they live as long as the process, and a collection in a child would copy the pages shared with its parent.
        """
        gc.collect()
        gc.freeze()
        super().on_start()
