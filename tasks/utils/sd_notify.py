"""What a process tells systemd about itself: ready, alive, stopping (sd_notify(3)). Silence where nobody asked."""

import os
import socket


def notify(state: str) -> bool:
    """Tell systemd `state`, such as "READY=1". False if it did not ask (NOTIFY_SOCKET) or cannot be reached.

    A worker that cannot say how it is had better go on working: systemd will act on its silence.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
            line.connect(address)
            line.send(state.encode())
    except OSError:
        return False
    return True


def watchdog_interval() -> float | None:
    """Seconds after which systemd wants to hear of this process again, halved for safety; None if it does not."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdecimal() or int(microseconds) == 0 or meant != str(os.getpid()):
        return None
    return int(microseconds) / 2_000_000
