"""An open-loop HTTP client: `python -m benchmarks.support.load_client URL RATE WARM_UP SECONDS` prints JSON.

It sends requests at fixed times over persistent connections, and opens another connection when all are busy.
"""

import asyncio
import json
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from benchmarks.support.drawings import tiff, tiff_header

# Side of the drawing in pixels of one byte each: 1 MiB.
SIDE = 1024

# Width of the renders: small, so that the workers keep up. The benchmark measures the intake.
WIDTH = 64

BOUNDARY = "benchmark-boundary"

# Beyond this number of connections a request that is due is not sent and counts as `unsent`.
MAX_CONNECTIONS = 400

# A connection that was idle for longer (seconds) is closed: the server might close it during the next request.
MAX_IDLE = 3.0

# Seconds to wait for the last responses.
DRAIN_TIMEOUT = 60.0


@dataclass
class Load:
    """The requests and their results."""

    host: str
    port: int
    head: bytes
    before: bytes
    after: bytes
    measure_from: float = 0.0  # requests due earlier belong to the warm-up
    idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)
    open: int = 0
    connections: int = 0
    latencies: list[float] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)

    async def send(self, number: int, due: float) -> None:
        """Send the drawing with this number; `due` is a time of the loop's clock."""
        if not self.idle and self.open >= MAX_CONNECTIONS:
            self.rejected["unsent"] += 1
            return
        try:
            reader, writer = await self._connection()
            writer.write(self.head)
            writer.write(self.before)
            writer.write(number.to_bytes(8, "big"))
            writer.write(self.after)
            status, body = await _read_response(reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.rejected[type(error).__name__] += 1
            self.open -= 1
            return
        now = asyncio.get_running_loop().time()
        if due >= self.measure_from:
            self.latencies.append(now - due)
        self.idle.append((now, reader, writer))
        if status == 202:
            self.jobs.append(json.loads(body)["id"])
        else:
            self.rejected[str(status)] += 1

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection that was idle for the shortest time, or a new one."""
        stale = asyncio.get_running_loop().time() - MAX_IDLE
        while self.idle:
            since, reader, writer = self.idle.pop()
            if since > stale:
                return reader, writer
            writer.close()
            self.open -= 1
        self.open += 1
        self.connections += 1
        return await asyncio.open_connection(self.host, self.port)


async def _read_response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


async def run(url: str, rate: float, warm_up: float, seconds: float) -> dict[str, object]:
    """Send `rate` requests per second for `warm_up` plus `seconds`, and wait for the responses."""
    load = _prepare_load(url)
    loop = asyncio.get_running_loop()
    base = time.time_ns()  # makes the drawings differ from those of earlier runs
    started = loop.time() + 0.2
    load.measure_from = started + warm_up
    cpu = time.process_time()
    requests = []
    for number in range(round(rate * (warm_up + seconds))):
        due = started + number / rate
        if (early := due - loop.time()) > 0:
            await asyncio.sleep(early)
        requests.append(asyncio.create_task(load.send(base + number, due)))
    await asyncio.wait(requests, timeout=DRAIN_TIMEOUT)
    for request in requests:
        if request.cancel():
            load.rejected["unanswered"] += 1
    return {
        "latencies": load.latencies,
        "jobs": load.jobs,
        "rejected": load.rejected,
        "sent": len(requests),
        "connections": load.connections,
        "elapsed": loop.time() - started,
        "cpu": time.process_time() - cpu,
    }


def _prepare_load(url: str) -> Load:
    parts = urlsplit(url)
    header, drawing = bytes(tiff_header(SIDE)), tiff(0, SIDE)
    form = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="width"\r\n\r\n{WIDTH}\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="blueprint"; filename="scan.tif"\r\n'
        "Content-Type: image/tiff\r\n\r\n"
    )
    before = form.encode() + header
    after = drawing[len(header) + 8 :] + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST /renders HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(before) + 8 + len(after)}\r\n\r\n"
    )
    return Load(parts.hostname or "", parts.port or 80, head.encode(), before, after)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    print(json.dumps(asyncio.run(run(sys.argv[1], *map(float, sys.argv[2:5])))))
