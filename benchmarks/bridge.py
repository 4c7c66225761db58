"""How long PHP takes to publish a render and to upload a drawing of 200 MB, and how many readings it writes.

    python -m benchmarks.bridge [--messages 3000]

Starts its own RabbitMQ, Redis and PHP-FPM; takes a minute. It publishes with confirms to the queue `render`, which has
no consumer: first on one warm connection, then in FPM requests that each connect, publish and close. It does the same
with the C extension php-amqp if that is installed (`apt-get install php-amqp`). The last line of output is one JSON
object: milliseconds; seconds of the upload from the first byte to 202; and megabytes of FPM's largest resident set and
of its spool files.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import psutil
from kombu import Connection

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.services import print_progress, print_result, running_broker, running_redis, scratch
from tasks.messaging.topology import RENDER, work_queue
from tests.services.edge import php
from tests.services.edge.fastcgi import FpmPool, running_fpm

BENCH = php.SCRIPTS / "bench.php"
UPLOAD = php.BRIDGE / "examples/upload.php"

UPLOAD_BYTES = 200 * 1000**2
MEGABYTE = 1000**2

WARM_UP = 200
REQUESTS = 1000

WRITERS, READERS, MACHINES, SECONDS = 16, 2, 4_500, 10.0


def percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    result = {f"{name}p50_ms": round(cuts[49] * 1000, 2), f"{name}p99_ms": round(cuts[98] * 1000, 2)}
    print_progress(str(result))
    return result


def measure_warm_connection(library: str, url: str, count: int) -> list[float]:
    """Seconds per message on a warm connection."""
    answered: list[float] = php.run_script("bench.php", library, url, str(count + WARM_UP), timeout=120)[0]
    return answered[WARM_UP:]


def measure_requests(fpm: FpmPool, library: str) -> list[float]:
    """Seconds of connect, publish, confirm and close, per FPM request."""
    seconds = []
    for number in range(REQUESTS + WARM_UP):
        answer = fpm.request(BENCH, method="GET", http_library=library)
        if number >= WARM_UP:
            seconds += json.loads(answer.body)
    return seconds


def has_extension() -> bool:
    """Whether php-amqp is installed."""
    done = subprocess.run([php.find_php(), "-r", "echo extension_loaded('amqp');"], capture_output=True, check=True)
    return done.stdout == b"1"


def measure_upload(fpm: FpmPool, home: Path) -> dict[str, float]:
    """Upload a drawing of 200 MB to the example endpoint."""
    mark = uuid.uuid4().hex
    head = f'--{mark}\r\nContent-Disposition: form-data; name="blueprint"; filename="scan.tiff"\r\n\r\n'.encode()
    body = head + bytes(UPLOAD_BYTES) + f"\r\n--{mark}--\r\n".encode()
    family = psutil.Process(fpm.process.pid).children(recursive=True)
    spool, resident, over = [0], [0], threading.Event()

    def sample() -> None:
        while not over.wait(0.005):
            spool.append(sum(path.stat().st_size for path in (home / "spool").iterdir() if path.exists()))
            resident.append(max(child.memory_info().rss for child in family))

    sampler = threading.Thread(target=sample)
    sampler.start()
    began = time.monotonic()
    answer = fpm.request(UPLOAD, body, content_type=f"multipart/form-data; boundary={mark}")
    seconds = time.monotonic() - began
    over.set()
    sampler.join()
    assert answer.status == 202, answer
    return {
        "upload_200mb_s": round(seconds, 2),
        "upload_rss_mb": round(max(resident) / MEGABYTE, 1),
        "upload_spool_mb": round(max(spool) / MEGABYTE),
    }


def measure_sensor_writes(url: str) -> dict[str, float]:
    """Writes per second of sixteen PHP processes, and torn values that concurrent readers saw."""
    writers = [
        php.start_script("sensors.php", "write", url, "ulm", str(MACHINES), str(SECONDS)) for _ in range(WRITERS)
    ]
    readers = [php.start_script("sensors.php", "read", url, "ulm", str(SECONDS)) for _ in range(READERS)]
    written = sum(json.loads(process.communicate()[0]) for process in writers)
    seen = [json.loads(process.communicate()[0]) for process in readers]
    return {
        "sensor_writes_per_second": round(written / SECONDS),
        "sensor_readings_per_second": round(sum(each["readings"] for each in seen) / SECONDS),
        "sensor_torn": sum(each["torn"] for each in seen),
    }


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=3000, help="messages on each warm connection (3000)")
    arguments = parser.parse_args()
    result: dict[str, Any] = {}
    libraries = {"bridge": "", **({"extension": "php_amqp_"} if has_extension() else {})}
    with scratch() as home, running_broker(home) as url:
        with Connection(url) as connection:
            work_queue(RENDER)(connection.default_channel).declare()
        environment = {"BULKHEAD_BROKER_URL": url, "BULKHEAD_STORE_URL": str(home / "store"), "BULKHEAD_TENANT": "acme"}
        with running_fpm(home / "fpm", environment, upload_limit="1G", post_limit="1G") as fpm:
            for library, name in libraries.items():
                result |= percentiles(name, measure_warm_connection(library, url, arguments.messages))
                result |= percentiles(f"{name}fpm_", measure_requests(fpm, library))
            result |= measure_upload(fpm, home / "fpm")
        with running_redis(home) as redis_url:
            result |= measure_sensor_writes(redis_url)
    print_result({**result, "load": round(os.getloadavg()[0], 1)})


if __name__ == "__main__":
    main()
