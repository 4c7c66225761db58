"""HAProxy's runtime socket, as far as ticket keys are concerned.

`set ssl tls-key` accepts everything: pushing the same key twice drops a good key, and a key that is too long is
truncated. So `sync` reads the keys before it pushes any, and reads them back afterwards.
"""

import socket
from pathlib import Path

from tasks.errors import ServiceUnavailable
from workers.tickets.keyring import KEY_COUNT, Key, Keyring, missing_key_count

# Seconds. HAProxy answers within a millisecond.
SOCKET_TIMEOUT = 2.0

# A reload replaces the process between two commands. Two reloads within one `sync` are not worth a third attempt.
SYNC_ATTEMPTS = 2


class HAProxyError(ServiceUnavailable):
    """HAProxy does not execute a command. Check its runtime socket."""

    code = "haproxy-error"


class HAProxy:
    """An HAProxy process, which may be stopped. It identifies the keyring by the file on its bind line."""

    def __init__(self, path: Path, keyring_file: Path) -> None:
        self._path, self._keyring_file = path, keyring_file

    def keys(self) -> tuple[Key, ...] | None:
        """The three keys in use, oldest first; None if HAProxy is not running. Raises HAProxyError, OSError."""
        answer = self._execute(f"show tls-keys {self._keyring_file}")
        if answer is None:
            return None
        keys = tuple(Key.decode(line.split()[1]) for line in answer.splitlines() if line[:1].isdigit())
        if len(keys) != KEY_COUNT:
            raise HAProxyError(
                f"HAProxy has no keyring {self._keyring_file}. Name this file in tls-ticket-keys on HAProxy's "
                "bind line."
            )
        return keys

    def sync(self, target: Keyring) -> None:
        """Push the keys that HAProxy lacks, in order, and read them back. Raises HAProxyError, OSError.

        Does nothing if HAProxy is not running: it reads the file when it starts. If a reload replaces the process
        meanwhile, the new one gets the keys that it lacks.
        """
        for _ in range(SYNC_ATTEMPTS):
            running = self.keys()
            if running is None or running == target.keys:
                return
            if (size := len(running[0].value)) != target.size:
                raise HAProxyError(
                    f"HAProxy started with keys of {size} bytes. Reload HAProxy to use keys of another size."
                )
            for key in target.newest(missing_key_count([key.name for key in running], target.names)):
                self._push(key)
        if self.keys() != target.keys:
            raise HAProxyError(
                "HAProxy's keys differ from the keys that were pushed. Stop any other program that changes keys "
                "over its socket."
            )

    def _push(self, key: Key) -> None:
        if "updated" not in (self._execute(f"set ssl tls-key {self._keyring_file} {key.encode()}") or ""):
            raise HAProxyError("HAProxy rejected a key. Give its socket level admin.")

    def _execute(self, command: str) -> str | None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SOCKET_TIMEOUT)
            try:
                connection.connect(str(self._path))
            except (FileNotFoundError, ConnectionRefusedError):
                return None
            connection.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
