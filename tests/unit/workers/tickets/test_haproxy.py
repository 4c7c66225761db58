"""Synchronizing HAProxy's keys over its socket, when a reload replaces the process."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.tickets.keyring import Key, Keyring
from workers.tickets.node.haproxy import HAProxy, HAProxyError


class Server:
    """HAProxy's socket. A reload after the pushes numbered in `reloads` replaces the keys by the `initial` ones."""

    def __init__(self, path: Path, initial: tuple[Key, ...], reloads: set[int]) -> None:
        self.keys, self._initial, self._reloads, self._pushes = initial, initial, reloads, 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(self._answer(connection.recv(4096).decode()).encode())

    def _answer(self, command: str) -> str:
        if command.startswith("show"):
            return "".join(f"{number} {key.encode()}\n" for number, key in enumerate(self.keys))
        self._pushes += 1
        is_reloaded = self._pushes in self._reloads
        self.keys = self._initial if is_reloaded else (*self.keys[1:], Key.decode(command.split()[-1]))
        return "TLS ticket key updated!\n"


@pytest.fixture
def target() -> Keyring:
    return Keyring.generate(80, os.urandom)


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    started: list[Server] = []
    yield started
    for server in started:
        server.close()


@pytest.mark.parametrize("push", [1, 2, 3])
def test_given_a_reload_during_a_push_then_the_new_process_gets_all_keys(
    tmp_path: Path, target: Keyring, servers: list[Server], push: int
) -> None:
    servers.append(Server(tmp_path / "socket", Keyring.generate(80, os.urandom).keys, {push}))

    HAProxy(tmp_path / "socket", tmp_path / "keyring").sync(target)

    assert servers[0].keys == target.keys


def test_given_keys_that_another_program_changes_then_sync_says_so(
    tmp_path: Path, target: Keyring, servers: list[Server]
) -> None:
    servers.append(Server(tmp_path / "socket", Keyring.generate(80, os.urandom).keys, {3, 6}))

    with pytest.raises(HAProxyError, match="Stop any other program"):
        HAProxy(tmp_path / "socket", tmp_path / "keyring").sync(target)
