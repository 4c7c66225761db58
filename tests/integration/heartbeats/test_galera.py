"""The sink on a real cluster of three nodes: it writes to the first node, to the next one when that dies, and back."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from cli.embedded.process import NotInstalled
from tasks.heartbeats import parse
from tests.conftest import skip_or_fail
from tests.services.galera import Galera
from tests.services.heartbeats import Plant, expected, stored
from workers.heartbeats import database_nodes as module
from workers.heartbeats.database_nodes import DatabaseNodes
from workers.heartbeats.machine import Machine
from workers.heartbeats.migrate import migrate_tables
from workers.heartbeats.sink import Flush, TableSink
from workers.heartbeats.sources import Position

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]


@pytest.fixture
def galera() -> Iterator[Galera]:
    home = Path(tempfile.mkdtemp(prefix="bulkhead-galera-"))  # the user mysql has no access to pytest's directories
    try:
        cluster = Galera(home)
        with cluster.running():
            yield cluster
    except NotInstalled as error:
        skip_or_fail(error)
    finally:
        shutil.rmtree(home, ignore_errors=True)


class KillsItsNode(TableSink):
    """Kills the first node when the rows of the second flush are written but not committed."""

    cluster: Galera
    flushes = 0

    def _write(self, connection: Connection, flush: Flush, values: Any, **facts: Any) -> int:
        rejected = super()._write(connection, flush, values, **facts)
        self.flushes += 1
        if self.flushes == 2:
            self.cluster.nodes[0].process.kill()
        return rejected


def test_given_a_node_killed_during_a_flush_then_the_next_one_has_every_beat_once(
    galera: Galera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NODE_RETRY_DELAY", 0.0)
    migrate_tables(galera.urls)
    KillsItsNode.cluster = galera
    sink = KillsItsNode(DatabaseNodes(galera.urls), "heartbeats", "me")
    assert sink.acquire_lease(1000.0, lease=1e9)
    bodies = list(Plant(machines=200).messages(150))
    machines: dict[str, Machine] = {}
    position: dict[int, Position] = {}
    retries = 0
    for part in range(3):
        for body in bodies[part::3]:
            for beat in parse(body).beats:
                machines.setdefault(beat.machine, Machine("ulm", beat.machine)).fold(beat)
        after = {0: Position(part, part)}
        retries += sink.flush(Flush(list(machines.values()), position, after, 0, 1.0, 0.0)).retries
        position = after

    rows = expected([body for part in range(3) for body in bodies[part::3]])
    assert retries >= 1
    assert stored(galera.urls[1]) == rows

    galera.nodes[0].rejoin()
    assert stored(galera.urls[0]) == rows
    with DatabaseNodes(galera.urls).connect() as connection:
        assert connection.exec_driver_sql("SELECT @@wsrep_node_name, @@wsrep_sync_wait").one() == ("node0", 3)
    sink.flush(Flush(list(machines.values()), position, {0: Position(9, 9)}, 0, 1.0, 0.0))
    assert [node.status("wsrep_local_cert_failures") for node in galera.nodes] == ["0", "0", "0"]
    assert [node.status("wsrep_local_bf_aborts") for node in galera.nodes] == ["0", "0", "0"]
