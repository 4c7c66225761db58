"""What systemd hears from a worker's parent: it takes jobs, its event loop turns, it waits for the broker, it stops."""

from typing import Any

from tasks.utils.sd_notify import notify, watchdog_interval


class Watchdog:
    """Signs of life for `Type=notify` and `WatchdogSec=`; without systemd it does nothing.

    They come from the event loop itself, so that a parent whose loop hangs falls silent and is replaced.
    """

    def __init__(self) -> None:
        self._interval = watchdog_interval()
        self._is_scheduled = False

    def ready(self, hub: Any) -> None:
        """The parent takes jobs. `hub` is Celery's event loop, None where the pool has none: then nobody watches it."""
        notify("READY=1\nSTATUS=Takes jobs.")
        if self._interval is None or self._is_scheduled:
            return
        if hub is None:
            notify("WATCHDOG_USEC=0")
            return
        hub.call_repeatedly(self._interval, self.ping)
        self._is_scheduled = True

    def ping(self) -> None:
        """The parent does something."""
        notify("WATCHDOG=1")

    def waiting_for_broker(self) -> None:
        """The broker is away; the event loop rests until it is back."""
        notify("WATCHDOG=1\nSTATUS=Waiting for the broker.")

    def stopping(self) -> None:
        """The parent takes nothing new and ends after the job at hand."""
        notify("STOPPING=1\nSTATUS=Finishes the job at hand.")
