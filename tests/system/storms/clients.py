"""Clients that submit drawings over HTTP and do not give up: each drawing has one Idempotency-Key, however often it
is sent."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

BOUNDARY = "drawing-boundary"

# Seconds that one request may take, that a client waits between two tries, and that a drawing may take in all.
TIMEOUT = 20.0
PAUSE = 0.3
PATIENCE = 180.0

# What a client tries again: nothing was promised, or the answer is due.
TRY_AGAIN = frozenset({409, 429, 503})

# Every so many drawings are sent once more after they were accepted: the answer must name the same job.
REPEAT_EVERY = 5


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a client sends."""

    number: int
    filename: str
    content: bytes
    width: int


@dataclass
class Promises:
    """What the intake answered."""

    jobs: dict[int, str] = field(default_factory=dict)  # drawing's number -> job
    statuses: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    faults: list[str] = field(default_factory=list)


class Clients:
    """Submits the drawings from several threads, one every `interval` seconds on average."""

    def __init__(
        self, url: str, count: int, make: Callable[[int], Drawing], *, name: str, threads: int, interval: float
    ) -> None:
        self._host = urlsplit(url).netloc
        self._make = make
        self._name = name
        self._count = count
        self._interval = interval
        self._started = time.monotonic()
        self._next = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), name=f"client{n}") for n in range(threads)]
        self.promises = Promises()

    def start(self) -> None:
        """Begin."""
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> bool:
        """Whether there is still something to submit."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """End early."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _run(self, thread: int) -> None:
        chance = random.Random(f"{self._name}.{thread}")
        while (number := self._take()) is not None:
            if self._stopping.wait(max(0.0, self._started + number * self._interval - time.monotonic())):
                return
            self._submit(self._make(number), chance)

    def _take(self) -> int | None:
        with self._lock:
            number, self._next = self._next, self._next + 1
            return number if number < self._count else None

    def _submit(self, drawing: Drawing, chance: random.Random) -> None:
        job = self._until_accepted(drawing, chance)
        if job is None:
            return
        with self._lock:
            self.promises.jobs[drawing.number] = job
        if drawing.number % REPEAT_EVERY == 0 and (again := self._until_accepted(drawing, chance)) is not None:
            with self._lock:
                self.promises.repeated += 1
                if again != job:
                    self.promises.faults.append(f"drawing {drawing.number} is job {job}, sent again it is {again}")

    def _until_accepted(self, drawing: Drawing, chance: random.Random) -> str | None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not self._stopping.is_set():
            status, body = self._post(drawing)
            with self._lock:
                self.promises.statuses[str(status)] += 1
            if status == 202:
                return str(json.loads(body)["id"])
            if isinstance(status, int) and status not in TRY_AGAIN:
                self._fault(f"drawing {drawing.number} was answered {status}: {body[:300]!r}")
                return None
            self._stopping.wait(PAUSE * chance.uniform(0.5, 1.5))
        self._fault(f"drawing {drawing.number} was not accepted within {PATIENCE:g} s")
        return None

    def _fault(self, text: str) -> None:
        with self._lock:
            self.promises.faults.append(text)

    def _post(self, drawing: Drawing) -> tuple[int | str, bytes]:
        """Status and body of the answer, or the name of the error that came instead."""
        connection = http.client.HTTPConnection(self._host, timeout=TIMEOUT)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Idempotency-Key": f"{self._name}-{drawing.number}",
        }
        try:
            connection.request("POST", "/renders", form(drawing), headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__, b""
        finally:
            connection.close()


def form(drawing: Drawing) -> bytes:
    """The drawing and its options as multipart/form-data."""
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="width"\r\n\r\n{drawing.width}\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="blueprint"; filename="{drawing.filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode() + b"%b\r\n--%b--\r\n" % (drawing.content, BOUNDARY.encode())
