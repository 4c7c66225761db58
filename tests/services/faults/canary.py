"""Where could a key have leaked to? Everything that a rotation leaves behind, searched for the keys of every ring."""

import base64
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kombu import Connection, Consumer, Exchange, Queue

from tasks.messaging.topology import EXCHANGE
from workers.tickets.keyring import NAME_BYTES, Key

# Celery's own exchange of task events.
EVENTS = Exchange("celeryev", type="topic")

# Bytes of a key that are searched for at a time: a part of it in a log would be as bad.
PIECE = 24


def traces(key: Key) -> Iterator[bytes]:
    """What gives a key away: pieces of its secret part, raw, in hex, and in base64 wherever that may begin."""
    secret = key.value[NAME_BYTES:]
    pieces = [secret[start : start + PIECE] for start in range(0, len(secret) - PIECE + 1, 8)]
    for piece in pieces:
        yield piece
        yield piece.hex().encode()
        yield piece.hex().upper().encode()
        yield "\\x".join(["", *(f"{byte:02x}" for byte in piece)]).encode()
    for shift in range(3):
        whole = base64.b64encode(secret[shift : len(secret) - (len(secret) - shift) % 3])
        yield from (whole[start : start + PIECE] for start in range(0, len(whole) - PIECE + 1, 8))


def found(media: Mapping[str, bytes], keys: Iterable[Key]) -> set[str]:
    """In which media there is something of a key."""
    wanted = {trace for key in keys for trace in traces(key)}
    return {name for name, content in media.items() if any(trace in content for trace in wanted)}


def files(*folders: Path) -> dict[str, bytes]:
    """All regular files below folders."""
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path): path.read_bytes() for path in paths}


def traced(log: Path) -> tuple[str, ...]:
    """What to put before a command, so that every program that it starts is written down with its arguments."""
    return (*_strace(log), "--seccomp-bpf")  # which stops it at no other call


@contextmanager
def attached(log: Path, pids: Iterable[int]) -> Iterator[None]:
    """The same for processes that run already."""
    process = subprocess.Popen([*_strace(log), *(f"--attach={pid}" for pid in pids)], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _strace(log: Path) -> tuple[str, ...]:
    return ("strace", "-f", "-qq", "-A", "-s", "65535", "-e", "trace=execve", "-o", str(log))


class Tap:
    """Copies of all messages of the broker's exchanges, headers and all."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url)
        self._ended = threading.Event()
        self._recorded: list[bytes] = []
        channel = self._connection.channel()
        queues = [
            Queue(f"tap-{number}", exchange, routing_key="#", exclusive=True, durable=False)
            for number, exchange in enumerate((EXCHANGE, EVENTS))
        ]
        self._consumer = Consumer(channel, queues, no_ack=True, on_message=self._hear, accept=["json"])
        self._consumer.consume()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    @property
    def recorded(self) -> bytes:
        """Everything so far."""
        return b"\n".join(self._recorded)

    def close(self) -> None:
        """Listen no more."""
        self._ended.set()
        self._thread.join()
        self._connection.release()

    def _hear(self, message: object) -> None:
        body, headers = getattr(message, "body", b""), getattr(message, "headers", {})
        self._recorded.append(f"{headers} ".encode() + (body if isinstance(body, bytes) else str(body).encode()))

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                self._connection.drain_events(timeout=0.1)
            except TimeoutError:
                continue
