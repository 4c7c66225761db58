"""The watchdog of a server process: it tells systemd that its event loop runs, and ends the process if it hangs."""

from __future__ import annotations

import asyncio
import faulthandler

from tasks.utils.sd_notify import notify, watchdog_interval


async def run_watchdog() -> None:
    """Notify systemd until cancelled; returns at once if the unit has no watchdog.

    systemd restarts the unit when no server process notifies it. A single process whose event loop hangs for
    WatchdogSec= would not be noticed while others run, so it logs where each thread hangs and exits; the main process
    starts another one.
    """
    interval = watchdog_interval()
    if interval is None:
        return
    try:
        while True:
            faulthandler.dump_traceback_later(2 * interval, exit=True)  # by a thread that does not need the GIL
            notify("WATCHDOG=1")
            await asyncio.sleep(interval)
    finally:
        faulthandler.cancel_dump_traceback_later()
