"""The contract of the sink on SQLite and MariaDB: one transaction, one writer, every row except rejected ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError

from tasks.database.errors import SchemaOutdated
from tasks.heartbeats import Beat
from tests.services.heartbeats import stored
from workers.heartbeats import sink as module
from workers.heartbeats.database_nodes import DatabaseNodes, NoWritableNode
from workers.heartbeats.machine import Machine
from workers.heartbeats.migrate import migrate_tables
from workers.heartbeats.sink import Flush, FlushResult, TableSink, WriteRejected, WriterLeaseLost
from workers.heartbeats.sources import Position
from workers.heartbeats.status import LeaseHeld, read_status, reset_offsets

MakeSink = Callable[..., TableSink]


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the tables of heartbeats."""
    address = f"sqlite:///{tmp_path}/machines.db"
    if request.param == "mariadb":
        address = request.getfixturevalue("mariadb").fresh_database()
    migrate_tables([address])
    return address


def sink_of(url: str, lease_owner: str = "me", kind: type[TableSink] = TableSink, **options: Any) -> TableSink:
    """A sink that holds the lease."""
    sink = kind(DatabaseNodes([url]), "heartbeats", lease_owner, **{"wait": lambda _seconds: None, **options})
    assert sink.acquire_lease(1000.0, lease=30.0)
    return sink


def machine(name: str, *values: float, plant: str = "ulm") -> Machine:
    state = Machine(plant, name)
    for seq, value in enumerate(values):
        state.fold(Beat(name, seq, float(seq), "running", rpm=value))
    return state


def flush(before: Position | None, after: Position, *machines: Machine) -> Flush:
    return Flush(machines, {0: before} if before else {}, {0: after}, beats=7, window_seconds=1.0, received_at=999.0)


FIRST, SECOND, OTHER = Position(10, 111), Position(20, 222), Position(20, 333)


def test_given_machines_when_flushed_then_they_and_the_position_are_stored_unchanged(url: str) -> None:
    sink = sink_of(url)
    assert sink.positions() == {}
    many = [machine(f"m{number:05}", 0.1 + number, 1e-9 * number) for number in range(4_100)]

    sink.flush(flush(None, FIRST, *many, machine("silent", plant="bern")))

    assert sink.positions() == {0: FIRST}
    assert sink.machine_counts() == {"ulm": 4_100, "bern": 1}
    recalled = sink.load({"ulm": {each.machine for each in many}, "bern": {"silent", "unknown"}})
    assert len(recalled) == 4_101
    by_name = {each.machine: each for each in recalled}
    for each in (many[0], many[4_099]):
        for field in Machine.__slots__:
            assert getattr(by_name[each.machine], field) == getattr(each, field), field
    sink.flush(flush(FIRST, SECOND, machine("m00000", 5.0)))
    assert stored(url)["ulm", "m00000"]["rpm_sum"] == 5.0
    assert sink.machine_counts()["ulm"] == 4_100


def test_given_an_added_column_when_a_machine_is_updated_then_the_column_keeps_its_value(url: str) -> None:
    sink = sink_of(url)
    sink.flush(flush(None, FIRST, machine("a", 1.0)))
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE machines ADD COLUMN hall VARCHAR(20)"))
        connection.execute(text("UPDATE machines SET hall = 'north'"))

    sink.flush(flush(FIRST, SECOND, machine("a", 1.0, 2.0)))

    with engine.connect() as connection:
        row = connection.execute(text("SELECT hall, beats FROM machines")).one()
    engine.dispose()
    assert tuple(row) == ("north", 2)


def test_given_two_writers_then_only_the_lease_owner_writes_and_the_other_loses_its_lease(url: str) -> None:
    first = sink_of(url, "first")
    first.flush(flush(None, FIRST, machine("a", 1.0)))
    second = TableSink(DatabaseNodes([url]), "heartbeats", "second")
    assert not second.acquire_lease(1010.0, lease=30.0)

    assert second.acquire_lease(1e12, lease=30.0)

    with pytest.raises(WriterLeaseLost, match=r"^Another coalescer holds the lease or has written in the meantime"):
        first.flush(flush(FIRST, SECOND, machine("a", 9.0)))
    assert stored(url)["ulm", "a"]["rpm_sum"] == 1.0
    assert not first.acquire_lease(1010.0, lease=30.0)
    second.release_lease()
    assert first.acquire_lease(1010.0, lease=30.0)


def test_given_a_position_that_differs_from_the_stored_one_then_nothing_is_written(url: str) -> None:
    sink = sink_of(url)
    sink.flush(flush(None, FIRST, machine("a", 1.0)))

    for before in (None, SECOND, Position(FIRST.offset, 999)):
        with pytest.raises(WriterLeaseLost):
            sink.flush(flush(before, OTHER, machine("a", 9.0)))
    assert stored(url)["ulm", "a"]["rpm_sum"] == 1.0


class LosesCommit(TableSink):
    """Loses its connection at COMMIT, once. `committed`: whether the database did commit."""

    committed = True
    lost = False

    def _write(self, connection: Connection, flush: Flush, values: Any, **facts: Any) -> int:
        refused = super()._write(connection, flush, values, **facts)
        if not self.lost:
            type(self).lost = True
            if self.committed:
                connection.commit()
            raise OperationalError("COMMIT", None, Exception(2013, "Lost connection"))
        return refused


@pytest.mark.parametrize("committed", [True, False])
def test_given_a_connection_lost_at_commit_then_the_window_is_written_once_in_any_case(
    url: str, committed: bool
) -> None:
    kind = type("Once", (LosesCommit,), {"committed": committed})
    sink = sink_of(url, kind=kind)

    flushed = sink.flush(flush(None, FIRST, machine("a", 1.0)))

    assert (flushed.retries, sink.positions()) == (1, {0: FIRST})
    assert stored(url)["ulm", "a"]["beats"] == 1


def reject(url: str, name: str) -> None:
    """Make the database reject machines whose names start with `name`."""
    engine = create_engine(url)
    verb = "SELECT RAISE(ABORT, 'no')" if engine.dialect.name == "sqlite" else "SIGNAL SQLSTATE '45000'"
    condition = f"NEW.machine LIKE '{name}%'"
    body = f"{verb} WHERE {condition};" if engine.dialect.name == "sqlite" else f"IF {condition} THEN {verb}; END IF;"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TRIGGER no BEFORE INSERT ON machines FOR EACH ROW BEGIN {body} END"))
    engine.dispose()


def test_given_rows_that_the_database_rejects_then_the_others_are_written_with_the_position(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    reject(url, "bad")
    sink = sink_of(url)
    many = [machine(f"m{number:05}", 1.0) for number in range(50)]

    flushed = sink.flush(flush(None, FIRST, *many[:20], machine("bad1", 1.0), *many[20:], machine("bad2", 1.0)))

    assert (flushed.rejected_rows, flushed.retries) == (2, 0)
    assert len(stored(url)) == 50
    assert sink.positions() == {0: FIRST}
    assert [record.getMessage().partition(" of plant")[0] for record in caplog.records] == [
        "The database rejects machine bad1",
        "The database rejects machine bad2",
    ]


def test_given_too_many_rejected_rows_then_nothing_is_written(url: str) -> None:
    reject(url, "bad")
    sink = sink_of(url)
    many = [machine(f"bad{number:05}", 1.0) for number in range(module.MAX_REJECTED_ROWS + 1)]

    with pytest.raises(WriteRejected, match="nothing was written"):
        sink.flush(flush(None, FIRST, machine("good", 1.0), *many))

    assert stored(url) == {}
    assert sink.positions() == {}


def test_given_no_tables_then_the_error_says_to_migrate_and_nobody_waits(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in ("machines", "heartbeat_sources"):
            connection.execute(text(f"DROP TABLE {table}"))
    engine.dispose()

    def never(_seconds: float) -> None:
        raise AssertionError

    with pytest.raises(SchemaOutdated, match="bulkhead migrate"):
        TableSink(DatabaseNodes([url]), "heartbeats", "me", wait=never).acquire_lease(1000.0, lease=30.0)
    with pytest.raises(SchemaOutdated, match="bulkhead migrate"):
        read_status(DatabaseNodes([url]), "heartbeats")


def test_given_a_missing_column_when_flushed_then_no_row_counts_as_rejected(url: str) -> None:
    sink = sink_of(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE machines RENAME COLUMN seen_mask TO other"))
    engine.dispose()

    with pytest.raises(SchemaOutdated, match="bulkhead migrate"):
        sink.flush(flush(None, FIRST, machine("a", 1.0), machine("b", 1.0)))
    assert sink.positions() == {}


def test_given_deadlocks_then_the_write_is_retried_after_delays(url: str) -> None:
    delays: list[float] = []

    class DeadlocksThrice(TableSink):
        """Fails with a deadlock three times."""

        remaining = 3

        def _write(self, connection: Connection, flush: Flush, values: Any, **facts: Any) -> int:
            super()._write(connection, flush, values, **facts)
            if self.remaining:
                self.remaining -= 1
                raise OperationalError("x", None, Exception(1213, "Deadlock found"))
            return 0

    sink = sink_of(url, kind=DeadlocksThrice, wait=delays.append)

    flushed: FlushResult = sink.flush(flush(None, FIRST, machine("a", 1.0)))

    # The three attempts were rolled back, so the last one finds the position unchanged.
    assert flushed.retries in (3, 4)
    assert len(delays) >= 3
    assert stored(url)["ulm", "a"]["beats"] == 1


def test_given_no_node_when_giving_up_then_the_error_says_what_to_check() -> None:
    sink = TableSink(
        DatabaseNodes(["mysql+pymysql://nobody@127.0.0.1:1/x"]), "heartbeats", "me", should_give_up=lambda: True
    )
    with pytest.raises(NoWritableNode, match="Check BULKHEAD_HEARTBEATS_DATABASE_URLS"):
        sink.positions()


def test_given_a_first_node_that_is_down_then_the_next_one_is_used(url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("a file has no nodes")
    migrate_tables(["mysql+pymysql://nobody@127.0.0.1:1/x", url])
    nodes = DatabaseNodes(["mysql+pymysql://nobody@127.0.0.1:1/x", url])
    with nodes.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_given_a_read_only_node_then_it_is_not_used_until_it_accepts_writes(url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("a file has no nodes")
    engine = create_engine(url)
    with engine.connect() as operator:
        operator.exec_driver_sql("SET GLOBAL read_only=ON")
        try:
            with pytest.raises(NoWritableNode, match=r"\(it is read-only\)$"), DatabaseNodes([url]).connect():
                pass
        finally:
            operator.exec_driver_sql("SET GLOBAL read_only=OFF")
    engine.dispose()

    with DatabaseNodes([url]).connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_given_a_flush_then_the_status_shows_it_and_reset_removes_the_position(url: str) -> None:
    nodes = DatabaseNodes([url])
    assert read_status(nodes, "heartbeats").last_offsets == {}
    reset_offsets(nodes, "heartbeats")
    sink = sink_of(url, clock=lambda: 1e12)
    sink.flush(flush(None, FIRST, machine("a", 1.0)))

    status = read_status(nodes, "heartbeats")
    assert (
        status.lease_owner,
        status.last_offsets,
        status.flush_rows,
        status.flush_beats,
        status.beats_per_second,
    ) == ("me", {0: 10}, 1, 7, 7.0)
    with pytest.raises(LeaseHeld, match=r"^The coalescer me is running\. Stop it and its stand-bys first\.$"):
        reset_offsets(nodes, "heartbeats")
    sink.release_lease()
    reset_offsets(nodes, "heartbeats")
    assert sink.positions() == {}
