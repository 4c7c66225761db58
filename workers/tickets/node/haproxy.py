"""HAProxy's runtime socket, as far as it is about ticket keys.

`set ssl tls-key` says yes to everything: it takes the same key twice, which drops a good one, and cuts a key that is
longer than the ring's. So whoever pushes looks first, and reads back.
"""

import socket
from pathlib import Path

from workers.tickets.keyring import KEY_COUNT, Key, Keyring, missing_key_count

# Seconds. HAProxy answers within a millisecond.
SOCKET_TIMEOUT = 2.0


class HAProxyError(Exception):
    """HAProxy does not do what was asked. The text says what to look at."""


class HAProxy:
    """A running HAProxy, or one that is about to start; its ring goes by the name of the file on its bind line."""

    def __init__(self, path: Path, keyring_file: Path) -> None:
        self._path, self._keyring_file = path, keyring_file

    def keys(self) -> tuple[Key, ...] | None:
        """The three keys in use, the oldest first; None if HAProxy does not run. Raises HAProxyError, OSError."""
        answer = self._execute(f"show tls-keys {self._keyring_file}")
        if answer is None:
            return None
        keys = tuple(Key.decode(line.split()[1]) for line in answer.splitlines() if line[:1].isdigit())
        if len(keys) != KEY_COUNT:
            raise HAProxyError(
                f"HAProxy shows no ring of the name {self._keyring_file}. Is that the file on its bind line?"
            )
        return keys

    def sync(self, wanted: Keyring) -> None:
        """Push what the ring lacks to be `wanted`, in order, and read back. Raises HAProxyError, OSError.

        Nothing to do where HAProxy does not run: it reads the file when it starts.
        """
        running = self.keys()
        if running is None or running == wanted.keys:
            return
        if (size := len(running[0].value)) != wanted.size:
            raise HAProxyError(f"HAProxy started with keys of {size} bytes, which only a reload changes.")
        for key in wanted.newest(missing_key_count([key.name for key in running], wanted.names)):
            self._push(key)
        if self.keys() != wanted.keys:
            raise HAProxyError("HAProxy has another ring than it was given. Who else uses its socket?")

    def _push(self, key: Key) -> None:
        if "updated" not in (self._execute(f"set ssl tls-key {self._keyring_file} {key.encode()}") or ""):
            raise HAProxyError("HAProxy did not take a key. Is its socket of level admin?")

    def _execute(self, command: str) -> str | None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(SOCKET_TIMEOUT)
            try:
                line.connect(str(self._path))
            except (FileNotFoundError, ConnectionRefusedError):
                return None
            line.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: line.recv(65536), b"")).decode()
