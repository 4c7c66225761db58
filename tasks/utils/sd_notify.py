"""Notifications to systemd: ready, alive, stopping (sd_notify(3)). Nothing is sent unless systemd asks for it."""

import os
import socket


def notify(state: str) -> bool:
    """Send `state`, such as "READY=1". Returns False if NOTIFY_SOCKET is not set or the notification fails.

    A failure is not an error: the process continues, and systemd acts on the missing notification.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as connection:
            connection.connect(address)
            connection.send(state.encode())
    except OSError:
        return False
    return True


def watchdog_interval() -> float | None:
    """Seconds between two watchdog notifications: half of systemd's limit. None if the unit has no watchdog.

    The unit is that of this process or of its parent, which may leave the notifications to its children.
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    watched_pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    is_watched = watched_pid in {str(os.getpid()), str(os.getppid())}
    if not microseconds.isdecimal() or int(microseconds) == 0 or not is_watched:
        return None
    return int(microseconds) / 2_000_000
