"""A prefork pool that sees at once when a child has ended (named in the setting `worker_pool`).

Celery watches the pipe that a child's end closes. The kernel closes it a moment before the child can be collected, so
the pool often finds nobody to collect, forgets the pipe, and looks again when its timer fires: up to 5 s later, after
every kill and every replaced child. A pidfd becomes readable just when the child can be collected (pidfd_open(2)).
"""

import gc
import os
from contextlib import suppress
from typing import Any

from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool as CeleryTaskPool


class Pool(AsynPool):
    """Celery's pool, watching pidfds."""

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        if not hasattr(proc, "_sentinel_poll"):
            with suppress(ProcessLookupError):  # ended and collected: the pipe will do
                proc._sentinel_poll = os.pidfd_open(proc.pid)
        super()._track_child_process(proc, hub)


class TaskPool(CeleryTaskPool):
    """What Celery calls a pool, around ours."""

    Pool = Pool

    def on_start(self) -> None:
        """Start the children. All that lives by now lives for good: the collector, which Celery runs before every
        fork, need not look at it, nor a child write into the pages that it shares with its parent.
        """
        gc.collect()
        gc.freeze()
        super().on_start()
