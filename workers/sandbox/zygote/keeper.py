"""Replaces a zygote when it ends, on the event loop of the process that owns it."""

import logging
import os
from typing import Any

from workers.sandbox.zygote import Zygote

logger = logging.getLogger(__name__)

# Seconds before a zygote that ended is replaced. One that cannot start is started again and again, ever more seldom.
RESTART_DELAY = 0.5
MAX_RESTART_DELAY = 30.0


class ZygoteKeeper:
    """Keeps `zygote` running from `watch` on. `hub` is an event loop of kombu.

    While it cannot start, each request is answered with the reason at once, and the log has the reason once.
    """

    def __init__(self, zygote: Zygote, hub: Any) -> None:
        self._zygote, self._hub = zygote, hub
        self._delay = RESTART_DELAY
        self._reason: str | None = None

    def watch(self) -> None:
        """Start the zygote if it does not run, and be told of its end. Raises OSError."""
        self._zygote.start()
        if self._zygote.pid is not None:
            pidfd = os.pidfd_open(self._zygote.pid)
            self._hub.add_reader(pidfd, self._on_end, pidfd)

    def _on_end(self, pidfd: int) -> None:
        self._hub.remove_reader(pidfd)
        os.close(pidfd)
        reason = self._zygote.start_failure()
        if reason is None:
            logger.error("The zygote %d ended. What it ran is repeated by a new one.", self._zygote.pid)
            self._delay = RESTART_DELAY
        else:
            if reason != self._reason:
                logger.error("Nothing runs until the sandbox starts, which is tried again and again. %s", reason)
            self._delay = min(2 * self._delay, MAX_RESTART_DELAY)
            self._refuse(reason)
            self._hub.add_reader(self._zygote.control, self._refuse, reason)
        self._reason = reason
        self._hub.call_later(self._delay, self._restart)

    def _refuse(self, reason: str) -> None:
        self._zygote.refuse_requests(reason)

    def _restart(self) -> None:
        if self._reason is not None:
            self._hub.remove_reader(self._zygote.control)
        self.watch()
