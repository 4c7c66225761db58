"""The real application over a SQLite ledger, a local store and a fake broker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tasks.database.engine import Database
from tasks.database.migrate import migrate
from tasks.jobs import Claimed, Job, open_ledger
from tasks.renders import artifact_prefix
from tasks.settings import Settings
from tasks.storage import open_store
from tests.unit.web.support import (
    PLANT_TOKENS,
    TOKENS,
    Clock,
    FakeBroker,
    FakeDeadLetters,
    FakeHeartbeatSink,
    TestClient,
)
from web.app import create_app
from web.dependencies import Services
from web.submit.admission import AdmissionController
from web.worker_stats_cache import WorkerStatsCache


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def heartbeats() -> FakeHeartbeatSink:
    return FakeHeartbeatSink()


@pytest.fixture
def dead_letters() -> FakeDeadLetters:
    return FakeDeadLetters()


@pytest.fixture
def admission_clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger, created once."""
    path = tmp_path_factory.mktemp("ledger") / "empty.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture
def settings(tmp_path: Path, empty_ledger: Path) -> Settings:
    shutil.copy(empty_ledger, tmp_path / "ledger.db")
    return Settings(
        ledger_url=SecretStr(f"sqlite:///{tmp_path}/ledger.db"),
        store_url=str(tmp_path / "store"),
        artifact_secret=SecretStr("a secret of the test"),
        link_secret=SecretStr("another secret of the test"),
        tokens=TOKENS,
        plant_tokens=PLANT_TOKENS,
        upload_limit=1 << 20,
        queue_limit=100,
        presets={"poster": {"width": 900, "background": "dark"}, "broken": {"colour": "red"}},
    )


@pytest.fixture
def services(
    settings: Settings,
    broker: FakeBroker,
    heartbeats: FakeHeartbeatSink,
    dead_letters: FakeDeadLetters,
    admission_clock: Clock,
) -> Iterator[Services]:
    ledger = open_ledger(settings)
    admission = AdmissionController(broker.queue_depth, settings.queue_limit, admission_clock)
    yield Services(
        settings,
        ledger,
        open_store(settings.store_url),
        broker,
        admission,
        heartbeats,
        dead_letters,
        WorkerStatsCache(list),
    )
    ledger.database.close()


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    """A client of the tenant acme."""
    app = create_app(services=services)
    headers = {"authorization": "Bearer token-of-acme-0001"}
    with TestClient(app, headers=headers, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def rival(client: TestClient) -> TestClient:
    """A client of another tenant."""
    headers = {"authorization": "Bearer token-of-rival-0001"}
    return TestClient(client.app, headers=headers, raise_server_exceptions=False)


OUTPUTS = {
    "manifest.json": b'{"layers": []}',
    "preview.webp": b"RIFF preview",
    "preview.png": b"PNG preview",
    "layers/000.webp": b"RIFF layer",
    "layers/000.png": b"PNG layer",
    "tiles.dzi": b"<Image/>",
    "tiles_files/9/3_2.webp": b"RIFF tile",
    "layers/000.dzi": b"<Image />",
    "layers/000_files/9/3_2.webp": b"RIFF layer tile",
}


@pytest.fixture
def finish(services: Services, tmp_path: Path) -> Any:
    """Finish a job like a worker: publish artifacts and record the success."""

    def finished(job_id: str, artifact: str = "a" * 64) -> Job:
        job = services.ledger.jobs.find(job_id)
        assert job is not None
        claim = services.ledger.attempts.claim(job, lease_owner="host:1:x", now=services.clock(), lease=30)
        assert isinstance(claim, Claimed)
        made = tmp_path / f"made-{job_id}"
        for name, content in OUTPUTS.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes(content)
        services.store.publish_tree(made, artifact_prefix(job.tenant, artifact))
        assert services.ledger.attempts.succeed(job_id, claim.job.attempt, now=services.clock(), artifact=artifact)
        return claim.job

    return finished
