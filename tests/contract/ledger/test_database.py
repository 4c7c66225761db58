"""Transactions and the errors of a database."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, make_url, select, text, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from tasks.database.engine import Database
from tasks.database.errors import SchemaOutdated
from tasks.database.migrate import check_migrated, migrate
from tasks.database.schema import attempts as attempts_table
from tasks.database.schema import jobs as jobs_table
from tasks.jobs import (
    Job,
    Ledger,
    LedgerUnavailable,
)
from tests.contract.ledger.support import (
    OWNER_A,
    T0,
    a_job,
    add_job,
    find,
    in_parallel,
)
from tests.services.mariadb import MariaDb


def test_given_two_transactions_that_deadlock_then_both_succeed(ledger: Ledger) -> None:
    first, second = add_job(ledger), add_job(ledger)
    both_locked = threading.Barrier(2)

    def change(connection: Connection, order: tuple[Job, Job], tries: list[int]) -> None:
        tries.append(1)
        for number, job in enumerate(order):
            connection.execute(
                update(jobs_table).where(jobs_table.c.id == job.id).values(crashes=jobs_table.c.crashes + 1)
            )
            if number == 0 and len(tries) == 1 and connection.dialect.name != "sqlite":
                both_locked.wait(timeout=20)  # each has locked one row now and needs the other one

    tries: list[list[int]] = [[], []]
    orders = [(first, second), (second, first)]
    in_parallel(
        2, lambda number: ledger.database.write(lambda connection: change(connection, orders[number], tries[number]))
    )

    assert [find(ledger, job).crashes for job in (first, second)] == [2, 2]
    if ledger.database.engine.dialect.name != "sqlite":  # SQLite has one writer at a time
        assert sum(map(len, tries)) == 3


def test_given_a_change_that_raises_then_it_is_rolled_back(ledger: Ledger) -> None:
    job = a_job()

    def change(connection: Connection) -> None:
        connection.execute(insert(jobs_table).values(asdict(job)))
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        ledger.database.write(change)
    assert ledger.jobs.find(job.id) is None


def test_an_attempt_at_an_unknown_job_is_rejected(ledger: Ledger) -> None:
    row = {"job": str(uuid.uuid4()), "number": 1, "lease_owner": OWNER_A, "started_at": T0, "outcome": "running"}

    with pytest.raises(IntegrityError):
        ledger.database.write(lambda connection: connection.execute(insert(attempts_table).values(row)))


@pytest.mark.service
def test_given_a_value_too_long_for_its_column_then_mariadb_raises_a_data_error(
    mariadb: MariaDb, open_at: Callable[[str], Ledger]
) -> None:
    ledger = open_at(mariadb.fresh_database())
    migrate(ledger.database)

    with pytest.raises(DataError, match="Data too long for column 'source'"):
        ledger.jobs.accept(a_job(source="sources/acme/" + "x" * 300))


def test_given_a_locked_sqlite_ledger_then_the_error_says_what_to_do(
    tmp_path: Path, open_at: Callable[[str], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.database.engine.BUSY_TIMEOUT", 0.2)
    ledger, other = (open_at(f"sqlite:///{tmp_path}/ledger.db") for _ in range(2))
    migrate(ledger.database)

    with (
        other.database.engine.connect() as connection,
        connection.begin(),
        pytest.raises(LedgerUnavailable) as caught,
    ):
        ledger.jobs.accept(a_job())

    assert str(caught.value) == (
        "The ledger's database does not answer. Check BULKHEAD_LEDGER_URL and the server, or run `bulkhead doctor`. "
        "(database is locked)"
    )


@pytest.mark.service
def test_given_a_mariadb_that_is_killed_then_the_ledger_is_unavailable_until_it_is_back(
    mariadb: MariaDb, open_at: Callable[[str], Ledger]
) -> None:
    ledger = open_at(mariadb.fresh_database())
    migrate(ledger.database)
    job = add_job(ledger)

    mariadb.process.kill()
    calls: list[Callable[[], object]] = [
        lambda: ledger.jobs.find(job.id),
        lambda: ledger.jobs.cancel(job.id, T0, error={}),
    ]
    for call in calls:
        with pytest.raises(LedgerUnavailable) as caught:
            call()
        assert str(caught.value).startswith(
            "The ledger's database does not answer. Check BULKHEAD_LEDGER_URL and the server, "
            "or run `bulkhead doctor`. ((2"
        )
    with pytest.raises(LedgerUnavailable):
        check_migrated(ledger.database)

    mariadb.process.start()
    mariadb.process.wait_ready()
    assert find(ledger, job) == job


def test_the_path_of_a_sqlite_ledger_may_contain_special_characters(
    tmp_path: Path, open_at: Callable[[str], Ledger]
) -> None:
    ledger = open_at(f"sqlite:///{tmp_path}/100% odd/ledger.db")

    migrate(ledger.database)

    assert ledger.database.read(lambda connection: connection.execute(select(jobs_table)).all()) == []


def test_creating_a_database_object_opens_no_connection(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/deep/ledger.db")

    assert not (tmp_path / "deep" / "ledger.db").exists()
    database.close()


def test_given_a_missing_table_then_the_error_says_to_migrate(url: str, open_at: Callable[[str], Ledger]) -> None:
    ledger = open_at(url)

    with pytest.raises(SchemaOutdated, match=r"^The tables in the database do not match .*Run `bulkhead migrate`"):
        ledger.jobs.find("x")
    with pytest.raises(SchemaOutdated):
        ledger.jobs.accept(a_job())


def test_given_a_missing_column_then_the_error_says_to_migrate(ledger: Ledger) -> None:
    with ledger.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE jobs DROP COLUMN traceparent"))

    with pytest.raises(SchemaOutdated, match="Run `bulkhead migrate`"):
        ledger.jobs.find("x")
    with pytest.raises(SchemaOutdated, match="Run `bulkhead migrate`"):
        ledger.jobs.accept(a_job())


def test_given_a_wrong_statement_then_its_error_is_raised_at_once_and_not_as_an_outage(ledger: Ledger) -> None:
    runs: list[None] = []

    def change(connection: Connection) -> None:
        runs.append(None)
        connection.execute(text("SELEKT 1"))

    for run in (ledger.database.read, ledger.database.write):
        with pytest.raises(DBAPIError, match="syntax"):
            run(change)
    assert len(runs) == 2


def test_given_a_server_that_cannot_be_reached_then_the_ledger_is_unavailable(
    open_at: Callable[[str], Ledger],
) -> None:
    ledger = open_at("mysql+pymysql://nobody:wrong@127.0.0.1:1/ledger")

    with pytest.raises(LedgerUnavailable, match="Can't connect to MySQL server"):
        ledger.jobs.find("x")


@pytest.mark.service
def test_given_a_wrong_password_or_an_unknown_database_then_the_ledger_is_unavailable(
    mariadb: MariaDb, open_at: Callable[[str], Ledger]
) -> None:
    url = make_url(mariadb.fresh_database())

    for wrong in (url.set(password="wrong"), url.set(database="nowhere")):
        with pytest.raises(LedgerUnavailable, match=r"Access denied|Unknown database"):
            open_at(wrong.render_as_string(hide_password=False)).jobs.find("x")


@pytest.mark.service
def test_given_a_connection_killed_in_a_transaction_then_the_ledger_is_unavailable_and_recovers(
    mariadb: MariaDb, open_at: Callable[[str], Ledger]
) -> None:
    ledger = open_at(mariadb.fresh_database())
    migrate(ledger.database)

    def die(connection: Connection) -> None:
        connection.execute(text("KILL CONNECTION_ID()"))

    with pytest.raises(LedgerUnavailable):
        ledger.database.write(die)
    assert ledger.jobs.find("x") is None


def test_given_a_sqlite_file_that_is_no_database_then_the_ledger_is_unavailable(
    tmp_path: Path, open_at: Callable[[str], Ledger]
) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database " * 1000)

    with pytest.raises(LedgerUnavailable, match="file is not a database"):
        open_at(f"sqlite:///{tmp_path}/ledger.db").jobs.find("x")
