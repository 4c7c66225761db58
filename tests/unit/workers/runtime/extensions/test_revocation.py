"""A revocation waits in a file until a child or maintenance has cancelled the job in the ledger."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr

from tasks.database.migrate import migrate
from tasks.jobs import Claimed, Job, Ledger, LedgerUnavailable, Outcome, State, open_ledger
from tasks.settings import Settings
from workers.runtime.extensions import revocation
from workers.runtime.extensions.revocation import DETAIL, EXPLANATION, Revocation

WAITING, RUNNING = "0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10", "0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a11"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with a waiting and a running job."""
    ledger = open_ledger(Settings(ledger_url=SecretStr(f"sqlite:///{tmp_path}/ledger.db")))
    migrate(ledger.database)
    for job_id in (WAITING, RUNNING):
        job = Job(job_id, "acme", State.QUEUED, f"sources/acme/{job_id}", "x.dxf", {}, created_at=1.0, updated_at=1.0)
        ledger.jobs.accept(job)
    assert isinstance(ledger.attempts.claim(job, lease_owner="host:7:99", now=2.0, lease=30), Claimed)
    yield ledger
    ledger.database.close()


def states(ledger: Ledger) -> list[State | None]:
    return [job.state if (job := ledger.jobs.find(job_id)) else None for job_id in (WAITING, RUNNING)]


def files(var: Path) -> list[str]:
    return sorted(path.name for path in (var / revocation.FOLDER).iterdir())


@pytest.mark.parametrize(("terminate", "running"), [(False, State.RUNNING), (True, State.CANCELLED)])
def test_given_revocations_when_they_are_flushed_then_waiting_jobs_are_cancelled_and_running_ones_if_terminated(
    tmp_path: Path, ledger: Ledger, terminate: bool, running: State
) -> None:
    for job_id in (WAITING, RUNNING, "00000000-0000-4000-8000-000000000000"):
        revocation.write(tmp_path, Revocation(job_id, 3.0, terminate))

    revocation.flush(tmp_path, ledger)

    assert states(ledger) == [State.CANCELLED, running]
    assert files(tmp_path) == []
    job = ledger.jobs.find(WAITING)
    assert job is not None
    assert job.error == {"code": "cancelled", "detail": DETAIL}
    [attempt] = ledger.attempts.history(RUNNING)
    ended = (Outcome.CANCELLED, EXPLANATION) if terminate else (Outcome.RUNNING, None)
    assert (attempt.outcome, attempt.explanation) == ended


def test_given_a_file_that_cannot_be_read_then_it_is_deleted_and_the_others_count(
    tmp_path: Path, ledger: Ledger
) -> None:
    revocation.write(tmp_path, Revocation(WAITING, 3.0, terminate=False))
    (tmp_path / revocation.FOLDER / "0-torn.json").write_text('{"job"')

    revocation.flush(tmp_path, ledger)

    assert states(ledger) == [State.CANCELLED, State.RUNNING]
    assert files(tmp_path) == []


def test_given_an_unavailable_ledger_then_the_revocation_is_kept(tmp_path: Path) -> None:
    revocation.write(tmp_path, Revocation(WAITING, 3.0, terminate=False))
    unavailable = open_ledger(Settings(ledger_url=SecretStr("mysql+pymysql://nobody@127.0.0.1:1/nothing")))

    with pytest.raises(LedgerUnavailable):
        revocation.flush(tmp_path, unavailable)

    assert files(tmp_path) == [f"{WAITING}.json"]


@pytest.mark.parametrize(("queue", "written"), [("render", True), ("maintenance", True), ("webhooks", False)])
def test_given_ids_then_those_of_jobs_are_written_by_workers_that_reach_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue: str, written: bool
) -> None:
    monkeypatch.setattr(revocation, "settings", lambda: Settings(var=tmp_path))
    with Celery("test", set_as_current=False) as app:
        app.config_from_object("tasks.celeryconfig")
        app.amqp.queues.select([queue])
        state: Any = SimpleNamespace(app=app, consumer=SimpleNamespace(pool=None))

        before = time.time()
        answer = revocation.revoke(state, [WAITING, "../../etc/passwd", "x"])
        assert revocation.revoke(state, RUNNING, terminate=True) == {"ok": "terminate: tasks unknown"}

    assert "flagged as revoked" in answer["ok"]
    if not written:
        assert not (tmp_path / revocation.FOLDER).exists()
        return
    assert files(tmp_path) == [f"{WAITING}.json", f"{RUNNING}.json"]
    stored = [revocation._read(tmp_path / revocation.FOLDER / name) for name in files(tmp_path)]
    assert [each and each.terminate for each in stored] == [False, True]
    assert all(each and before <= each.requested_at <= time.time() for each in stored)
