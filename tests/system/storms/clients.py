"""Clients that submit drawings over HTTP and retry: all attempts at a drawing have the same Idempotency-Key."""

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

# Seconds: timeout of a request, delay between two attempts, and timeout of all attempts at a drawing.
REQUEST_TIMEOUT = 20.0
RETRY_DELAY = 0.3
DRAWING_TIMEOUT = 180.0

# Statuses that a client retries.
RETRIABLE = frozenset({409, 429, 503})

# Every nth accepted drawing is submitted once more: the response must name the same job.
REPEAT_EVERY = 5


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing that a client submits."""

    number: int
    filename: str
    content: bytes
    width: int


@dataclass
class Responses:
    """Responses of the web tier."""

    jobs: dict[int, str] = field(default_factory=dict)  # number of the drawing -> job
    statuses: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    errors: list[str] = field(default_factory=list)


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
        self.responses = Responses()

    def start(self) -> None:
        """Start submitting."""
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether drawings remain to be submitted."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Stop before all drawings are submitted."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _run(self, thread: int) -> None:
        rng = random.Random(f"{self._name}.{thread}")
        while (number := self._next_number()) is not None:
            if self._stopping.wait(max(0.0, self._started + number * self._interval - time.monotonic())):
                return
            self._submit(self._make(number), rng)

    def _next_number(self) -> int | None:
        with self._lock:
            number, self._next = self._next, self._next + 1
            return number if number < self._count else None

    def _submit(self, drawing: Drawing, rng: random.Random) -> None:
        job = self._submit_until_accepted(drawing, rng)
        if job is None:
            return
        with self._lock:
            self.responses.jobs[drawing.number] = job
        if drawing.number % REPEAT_EVERY == 0 and (again := self._submit_until_accepted(drawing, rng)) is not None:
            with self._lock:
                self.responses.repeated += 1
                if again != job:
                    self.responses.errors.append(f"drawing {drawing.number} is job {job} and then job {again}")

    def _submit_until_accepted(self, drawing: Drawing, rng: random.Random) -> str | None:
        deadline = time.monotonic() + DRAWING_TIMEOUT
        while time.monotonic() < deadline and not self._stopping.is_set():
            status, body = self._post(drawing)
            with self._lock:
                self.responses.statuses[str(status)] += 1
            if status == 202:
                return str(json.loads(body)["id"])
            if isinstance(status, int) and status not in RETRIABLE:
                self._add_error(f"drawing {drawing.number} was answered {status}: {body[:300]!r}")
                return None
            self._stopping.wait(RETRY_DELAY * rng.uniform(0.5, 1.5))
        self._add_error(f"drawing {drawing.number} was not accepted within {DRAWING_TIMEOUT:g} s")
        return None

    def _add_error(self, text: str) -> None:
        with self._lock:
            self.responses.errors.append(text)

    def _post(self, drawing: Drawing) -> tuple[int | str, bytes]:
        """Status and body of the response, or the name of the error instead."""
        connection = http.client.HTTPConnection(self._host, timeout=REQUEST_TIMEOUT)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Idempotency-Key": f"{self._name}-{drawing.number}",
        }
        try:
            connection.request("POST", "/renders", encode_form(drawing), headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__, b""
        finally:
            connection.close()


def encode_form(drawing: Drawing) -> bytes:
    """The drawing and its options as multipart/form-data."""
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="width"\r\n\r\n{drawing.width}\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="blueprint"; filename="{drawing.filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode() + b"%b\r\n--%b--\r\n" % (drawing.content, BOUNDARY.encode())
