"""The example endpoint in a real PHP-FPM: from a form's upload to a finished render."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.embedded.process import NotInstalled
from tasks.jobs import State
from tests.conftest import without
from tests.integration.jobs.renders import TENANT, Renders, drawing, eventually
from tests.services.edge import php
from tests.services.edge.fpm import Answer, Fpm, running_fpm
from tests.services.platform import Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

SCRIPT = php.BRIDGE / "examples/upload.php"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def fpm(platform: Platform) -> Iterator[Fpm]:
    """A pool that hands drawings to the platform straight through the broker."""
    environment = {name: platform.environment[f"BULKHEAD_{name}"] for name in ("BROKER_URL", "STORE_URL")}
    shared = {f"BULKHEAD_{name}": value for name, value in environment.items()}
    try:
        with running_fpm(platform.directory / "fpm", {**shared, "BULKHEAD_TENANT": TENANT}) as fpm:
            yield fpm
    except NotInstalled as error:
        without(error)


def upload(fpm: Fpm, content: bytes, filename: str = "plan.dxf", headers: Any = None, **fields: str) -> Answer:
    """Send a form as a browser does."""
    mark = uuid.uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()
    ]
    parts.append(f'--{mark}\r\nContent-Disposition: form-data; name="blueprint"; filename="{filename}"\r\n'.encode())
    parts.append(b"Content-Type: application/octet-stream\r\n\r\n" + content + f"\r\n--{mark}--\r\n".encode())
    kind = f"multipart/form-data; boundary={mark}"
    return fpm.request(SCRIPT, b"".join(parts), content_type=kind, **(headers or {}))


def left(platform: Platform) -> list[Path]:
    """Files of drawings anywhere."""
    folders = (platform.store / "sources", platform.store / ".tmp", platform.directory / "fpm" / "spool")
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_given_an_upload_then_it_is_accepted_published_and_rendered(
    fpm: Fpm, platform: Platform, sent: Renders
) -> None:
    platform.start_worker()
    content = drawing(20)

    answer = upload(fpm, content, "../Süd \u202e.dxf", {"http_traceparent": TRACE}, width="64", tiles="false")

    said = json.loads(answer.body)
    assert (answer.status, answer.errors) == (202, b"")
    assert answer.headers["location"] == f"/renders/{said['id']}"
    job = sent.finished(said["id"])
    assert (job.state, job.filename, job.traceparent) == (State.SUCCEEDED, "Süd .dxf", TRACE)
    assert (job.options["width"], job.options["tiles"]) == (64, False)
    assert [path.read_bytes() for path in left(platform)] == [content]


def test_given_an_upload_through_the_http_intake_then_it_is_streamed_there_and_its_status_is_told(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker()
    platform.start_web()
    try:
        with running_fpm(platform.directory / "fpm", {"BULKHEAD_INTAKE_URL": platform.url}) as fpm:
            answer = upload(fpm, drawing(20), width="64")
            refused = upload(fpm, b"this is no drawing")
    except NotInstalled as error:
        without(error)
    job = json.loads(answer.body)["id"]
    assert answer.status == 202
    assert sent.finished(job).state is State.SUCCEEDED
    assert (refused.status, refused.headers["content-type"]) == (422, "application/problem+json")

    unknown = str(uuid.uuid4())
    told, young, old = php.run(
        "status.php", platform.url, say=[{"job": job}, {"job": unknown, "age": 5}, {"job": unknown}]
    )
    assert (told["state"], told["percent"]) == ("succeeded", 100)
    assert told["links"]["preview"] == f"{platform.url}/renders/{job}/preview.webp"
    assert young["state"] == "queued"
    assert old is None


def test_given_what_cannot_be_taken_then_a_problem_says_why_and_nothing_is_left(fpm: Fpm, platform: Platform) -> None:
    refused = [
        upload(fpm, drawing(1), width="9"),
        upload(fpm, drawing(1), colour="red"),
        upload(fpm, b"x" * (1024 * 1024 + 1)),
        upload(fpm, b"x" * (3 * 1024 * 1024)),
        fpm.request(SCRIPT, b"a=b", content_type="application/x-www-form-urlencoded"),
        fpm.request(SCRIPT, method="GET"),
    ]

    assert [answer.status for answer in refused] == [422, 422, 413, 413, 400, 405]
    assert {answer.headers["content-type"] for answer in refused} == {"application/problem+json"}
    assert json.loads(refused[0].body) == {
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "The option width must be from 16 to 16383.",
    }
    assert left(platform) == []


def test_given_no_worker_ever_or_no_broker_then_it_is_503_and_the_drawing_is_not_kept(
    fpm: Fpm, platform: Platform
) -> None:
    unroutable = upload(fpm, drawing(1))

    assert (unroutable.status, unroutable.headers["retry-after"]) == (503, "5")
    assert json.loads(unroutable.body)["detail"] == "The drawing was not accepted: try again in a moment."
    assert eventually(lambda: "Workers make the queues" in fpm.process.log.read_text())
    assert left(platform) == []
