"""The same heartbeats written directly to a Galera cluster of three nodes, then through the coalescer.

    python -m benchmarks.galera [--beats 18000] [--machines 50]

Starts its own three MariaDB nodes, RabbitMQ and coalescer; takes about two minutes. The last line of output is one JSON
object: conflicts (certification failures, and transactions aborted because of others), the fraction of the time in
which flow control paused writers, and whether the coalesced table matches the heartbeats.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import make_url

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.services import ROOT, print_progress, print_result, scratch
from cli.embedded.process import Process
from cli.embedded.programs import coalescer_program
from cli.embedded.rabbitmq import prepare_rabbitmq
from cli.embedded.supervisor import Supervisor
from tests.services.galera import Galera
from tests.services.heartbeats import Plant, expected, publish, stored
from workers.heartbeats.database_nodes import DatabaseNodes
from workers.heartbeats.migrate import migrate_tables
from workers.heartbeats.status import read_status

CLIENTS = 12
BATCH = 100  # heartbeats per message
TIMEOUT = 120  # seconds for the coalescer to finish

CONFLICT_COUNTERS = ("wsrep_local_cert_failures", "wsrep_local_bf_aborts")

DIRECT = (
    "CREATE TABLE direct (machine VARCHAR(64) PRIMARY KEY, seq BIGINT, seen_at DOUBLE, status VARCHAR(16), rpm DOUBLE)"
)
UPSERT = (
    "INSERT INTO direct VALUES (%s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE seq=VALUES(seq), seen_at=VALUES(seen_at), "
    "status=VALUES(status), rpm=VALUES(rpm)"
)


class Meter:
    """Measures conflicts and flow control of the cluster during its block."""

    def __init__(self, galera: Galera) -> None:
        self._galera = galera

    def __enter__(self) -> "Meter":
        self._before = self._read()
        return self

    def __exit__(self, *_: object) -> None:
        before, after = self._before, self._read()
        self.seconds = after[0] - before[0]
        self.conflicts = after[1] - before[1]
        self.paused = max(now - then for now, then in zip(after[2], before[2], strict=True)) / 1e9 / self.seconds

    def _read(self) -> tuple[float, int, list[int]]:
        nodes = self._galera.nodes
        conflicts = sum(int(node.status(name)) for node in nodes for name in CONFLICT_COUNTERS)
        return time.perf_counter(), conflicts, [int(node.status("wsrep_flow_control_paused_ns")) for node in nodes]


def write_directly(galera: Galera, beats: Sequence[dict[str, Any]]) -> int:
    """Write every heartbeat directly, from clients on all nodes. Returns the number of failed writes."""
    errors: list[Exception] = []

    def client(number: int) -> None:
        url = make_url(galera.urls[number % len(galera.urls)])
        connection = pymysql.connect(
            host=url.host,
            port=url.port or 0,
            user=url.username,
            password=url.password or "",
            database=url.database,
            autocommit=True,
        )
        with connection, connection.cursor() as cursor:
            for beat in beats[number::CLIENTS]:
                values = (beat["machine"], beat["seq"], beat["seen_at"], beat["status"], beat.get("rpm"))
                try:
                    cursor.execute(UPSERT, values)
                except pymysql.Error as error:
                    errors.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(errors)


def write_through_coalescer(galera: Galera, bodies: Sequence[bytes], home: Path) -> int:
    """Send every heartbeat through broker and coalescer. Returns the number of flush retries."""
    node = prepare_rabbitmq(home / "rabbitmq")
    with Supervisor(node.stages, home / "log", report=print_progress):
        environment = {
            "PYTHONPATH": str(ROOT),
            "BULKHEAD_BROKER_URL": node.url,
            "BULKHEAD_STREAM_URL": node.stream_url,
            "BULKHEAD_HEARTBEATS_DATABASE_URLS": " ".join(galera.urls),
            "BULKHEAD_HEARTBEATS_WINDOW": "1",
        }
        coalescer = Process(coalescer_program("coalescer", environment, ROOT), home / "log")
        publish(node.url, bodies[:1])
        coalescer.start()
        try:
            publish(node.url, bodies[1:])
            return wait_for_end(galera, len(bodies) - 1)
        finally:
            coalescer.stop()


def wait_for_end(galera: Galera, record: int) -> int:
    nodes, retries, deadline = DatabaseNodes(galera.urls), 0, time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        status = read_status(nodes, "heartbeats")
        retries += status.flush_retries or 0
        if status.last_offsets == {0: record}:
            return retries
        time.sleep(0.5)
    raise TimeoutError(f"record {record} was not written within {TIMEOUT} s")


def main() -> None:
    """Run both and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--beats", type=int, default=18_000)
    parser.add_argument("--machines", type=int, default=50)
    arguments = parser.parse_args()
    bodies = list(Plant(machines=arguments.machines).messages(arguments.beats // BATCH, BATCH))
    beats = [beat for body in bodies for beat in json.loads(body)["beats"]]
    cluster = Path(
        tempfile.mkdtemp(prefix="bulkhead-galera-")
    )  # the user mysql cannot read other temporary directories
    try:
        galera = Galera(cluster)
        with galera.running(), scratch() as home:
            print_progress("three nodes are synced")
            url = make_url(galera.urls[0])
            with pymysql.connect(
                host=url.host, port=url.port or 0, user=url.username, password=url.password or "", database=url.database
            ) as connection:
                connection.cursor().execute(DIRECT)
            with Meter(galera) as direct:
                errors = write_directly(galera, beats)
            print_progress(f"direct: {direct.conflicts} conflicts, {errors} writes failed, {direct.seconds:.1f} s")
            migrate_tables(galera.urls)
            with Meter(galera) as ours:
                retries = write_through_coalescer(galera, bodies, home)
            expected_rows, stored_rows = expected(bodies), stored(galera.urls[0])
    finally:
        shutil.rmtree(cluster, ignore_errors=True)
    counted = sum(row["beats"] for row in stored_rows.values())
    print_result(
        {
            "beats": len(beats),
            "machines": arguments.machines,
            "direct_errors": errors,
            "direct_conflicts": direct.conflicts,
            "direct_paused": round(direct.paused, 4),
            "direct_per_second": round(len(beats) / direct.seconds),
            "ours_conflicts": ours.conflicts,
            "ours_paused": round(ours.paused, 4),
            "ours_retries": retries,
            "ours_lost": sum(row["beats"] for row in expected_rows.values()) - counted,
            "ours_wrong_rows": sum(stored_rows.get(key) != row for key, row in expected_rows.items())
            + len(stored_rows.keys() - expected_rows.keys()),
            "load": round(os.getloadavg()[0], 1),
        }
    )


if __name__ == "__main__":
    main()
