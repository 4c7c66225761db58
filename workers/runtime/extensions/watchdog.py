"""Notifications of a worker's parent to systemd: ready, alive, waiting for the broker, stopping."""

from typing import Any

from tasks.utils.sd_notify import notify, watchdog_interval


class Watchdog:
    """Notifications for `Type=notify` and `WatchdogSec=`; does nothing without systemd.

    The event loop sends the watchdog pings, so systemd restarts a parent whose event loop hangs.
    """

    def __init__(self) -> None:
        self._interval = watchdog_interval()
        self._is_scheduled = False

    def ready(self, hub: Any) -> None:
        """The worker consumes messages. `hub` is Celery's event loop; without one (None) the watchdog is disabled."""
        notify("READY=1\nSTATUS=Consuming jobs.")
        if self._interval is None or self._is_scheduled:
            return
        if hub is None:
            notify("WATCHDOG_USEC=0")
            return
        hub.call_repeatedly(self._interval, self.ping)
        self._is_scheduled = True

    def ping(self) -> None:
        """The parent is alive."""
        notify("WATCHDOG=1")

    def waiting_for_broker(self) -> None:
        """The broker is unavailable, and the event loop waits for it.

        The worker is then ready as well. Otherwise a broker that is down at boot would keep the boot waiting for the
        start of every worker, and each start would fail at its time limit.
        """
        notify("READY=1\nWATCHDOG=1\nSTATUS=Waiting for the broker.")

    def stopping(self) -> None:
        """The parent accepts no new job and exits after the current one."""
        notify("STOPPING=1\nSTATUS=Finishing the current job.")
