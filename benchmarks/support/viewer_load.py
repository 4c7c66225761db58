"""Simulates viewers: `python -m benchmarks.support.viewer_load URL VIEWERS < jobs` follows jobs and fetches outputs.

The first line of standard input names jobs, each of which gets one event stream. The second names a finished drawing;
each of the VIEWERS requests one of its outputs per second. It prints "ready" when all streams are open, and exits at
the end of standard input. The last line of output is the result as JSON.
"""

import asyncio
import json
import random
import resource
import sys
import time
from urllib.parse import urlsplit

OUTPUTS = ("manifest.json", "preview.webp", "layers/2.webp", "tiles.dzi", "tiles_files/9/0_0.webp")


class ViewerLoad:
    """The simulated viewers and their results."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.open = 0
        self.events = 0
        self.answers = 0
        self.errors: list[str] = []
        self.connected = asyncio.Semaphore(0)

    async def follow_events(self, job: str) -> None:
        """Keep one event stream open, and count its events and comments."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(self._request(f"/renders/{job}/events", keep_alive=False))
        status = (await reader.readuntil(b"\r\n\r\n"))[9:12].decode()
        self.connected.release()
        if status != "200":
            self.errors.append(status)
            return
        self.open += 1
        try:
            while await reader.readuntil(b"\n\n"):
                self.events += 1
        except asyncio.IncompleteReadError:
            self.errors.append("ended")
        finally:
            self.open -= 1
            writer.close()

    async def fetch_outputs(self, job: str) -> None:
        """Request one output per second over a persistent connection, at fixed times with a random offset.

        The times do not depend on the responses: if each viewer waited a second after its last response, one slow
        moment of the server would synchronize all of them for good.
        """
        clock = asyncio.get_running_loop().time
        due = clock() + random.random()
        reader, writer = await asyncio.open_connection(self.host, self.port)
        for number in range(1_000_000):
            await asyncio.sleep(due - clock())
            due += 1
            writer.write(self._request(f"/renders/{job}/{OUTPUTS[number % len(OUTPUTS)]}", keep_alive=True))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
            self.answers += 1
            if (status := head[9:12].decode()) != "200":
                self.errors.append(status)

    def _request(self, path: str, *, keep_alive: bool) -> bytes:
        connection = "keep-alive" if keep_alive else "close"
        return f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: {connection}\r\n\r\n".encode()


async def main(url: str, viewers: int) -> None:
    """Run until the end of standard input."""
    jobs, drawing = json.loads(sys.stdin.readline()), json.loads(sys.stdin.readline())
    audience = ViewerLoad(url)
    tasks = [asyncio.create_task(audience.follow_events(job)) for job in jobs]
    tasks += [asyncio.create_task(audience.fetch_outputs(drawing)) for _ in range(viewers)]
    for _job in jobs:
        await audience.connected.acquire()
    started, cpu = time.monotonic(), time.process_time()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    seconds = time.monotonic() - started
    print(
        json.dumps(
            {
                "streams": audience.open,
                "events": audience.events,
                "answers_per_second": round(audience.answers / seconds, 1),
                "faults": audience.errors[:10],
                "cpu": round((time.process_time() - cpu) / seconds, 3),
            }
        ),
        flush=True,
    )
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
