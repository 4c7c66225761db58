"""The upload example in a real PHP-FPM, from the form to the finished render."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.embedded.process import NotInstalled
from tasks.jobs import State
from tests.conftest import skip_or_fail
from tests.integration.jobs.renders import TENANT, Renders, drawing, eventually
from tests.services.edge import php
from tests.services.edge.fastcgi import FpmPool, Response, running_fpm
from tests.services.platform import Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

SCRIPT = php.BRIDGE / "examples/upload.php"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def fpm(platform: Platform) -> Iterator[FpmPool]:
    """A pool that publishes drawings directly to the broker."""
    environment = {name: platform.environment[f"BULKHEAD_{name}"] for name in ("BROKER_URL", "STORE_URL")}
    shared = {f"BULKHEAD_{name}": value for name, value in environment.items()}
    try:
        with running_fpm(platform.directory / "fpm", {**shared, "BULKHEAD_TENANT": TENANT}) as fpm:
            yield fpm
    except NotInstalled as error:
        skip_or_fail(error)


def upload(fpm: FpmPool, content: bytes, filename: str = "plan.dxf", headers: Any = None, **fields: str) -> Response:
    """Submit a form as a browser does."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="blueprint"; filename="{filename}"\r\n'.encode()
    )
    parts.append(b"Content-Type: application/octet-stream\r\n\r\n" + content + f"\r\n--{boundary}--\r\n".encode())
    kind = f"multipart/form-data; boundary={boundary}"
    return fpm.request(SCRIPT, b"".join(parts), content_type=kind, **(headers or {}))


def stored_files(platform: Platform) -> list[Path]:
    """All files of drawings in the store and in the upload folder."""
    folders = (platform.store / "sources", platform.store / ".tmp", platform.directory / "fpm" / "spool")
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_given_an_upload_then_it_is_accepted_published_and_rendered(
    fpm: FpmPool, platform: Platform, sent: Renders
) -> None:
    platform.start_worker()
    content = drawing(20)

    response = upload(fpm, content, "../Süd \u202e.dxf", {"http_traceparent": TRACE}, width="64", tiles="false")

    body = json.loads(response.body)
    assert (response.status, response.errors) == (202, b"")
    assert response.headers["location"] == f"/renders/{body['id']}"
    job = sent.finished(body["id"])
    assert (job.state, job.filename, job.traceparent) == (State.SUCCEEDED, "Süd .dxf", TRACE)
    assert (job.options["width"], job.options["tiles"]) == (64, False)
    assert [path.read_bytes() for path in stored_files(platform)] == [content]


def test_given_an_api_url_then_uploads_are_streamed_to_it_and_their_status_can_be_queried(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker()
    platform.start_web()
    try:
        with running_fpm(platform.directory / "fpm", {"BULKHEAD_API_URL": platform.url}) as fpm:
            response = upload(fpm, drawing(20), width="64")
            rejected = upload(fpm, b"not a drawing")
    except NotInstalled as error:
        skip_or_fail(error)
    job = json.loads(response.body)["id"]
    assert response.status == 202
    assert sent.finished(job).state is State.SUCCEEDED
    assert (rejected.status, rejected.headers["content-type"]) == (422, "application/problem+json")

    unknown = str(uuid.uuid4())
    known, young, old = php.run_script(
        "status.php", platform.url, requests=[{"job": job}, {"job": unknown, "age": 5}, {"job": unknown}]
    )
    assert (known["state"], known["percent"]) == ("succeeded", 100)
    assert known["links"]["preview"] == f"{platform.url}/renders/{job}/preview.webp"
    assert young["state"] == "queued"
    assert old is None


def test_given_invalid_uploads_then_a_problem_says_why_and_no_file_is_left(fpm: FpmPool, platform: Platform) -> None:
    rejected = [
        upload(fpm, drawing(1), width="9"),
        upload(fpm, drawing(1), colour="red"),
        upload(fpm, b"x" * (1024 * 1024 + 1)),
        upload(fpm, b"x" * (3 * 1024 * 1024)),
        fpm.request(SCRIPT, b"a=b", content_type="application/x-www-form-urlencoded"),
        fpm.request(SCRIPT, method="GET"),
    ]

    assert [response.status for response in rejected] == [422, 422, 413, 413, 400, 405]
    assert {response.headers["content-type"] for response in rejected} == {"application/problem+json"}
    assert json.loads(rejected[0].body) == {
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "The option width must be from 16 to 16383.",
    }
    assert stored_files(platform) == []


def test_given_no_queue_then_the_response_is_503_and_the_drawing_is_not_stored(
    fpm: FpmPool, platform: Platform
) -> None:
    unroutable = upload(fpm, drawing(1))

    assert (unroutable.status, unroutable.headers["retry-after"]) == (503, "5")
    assert json.loads(unroutable.body)["detail"] == "The drawing was not accepted: try again in a moment."
    assert eventually(lambda: "Workers declare the queues" in fpm.process.log.read_text())
    assert stored_files(platform) == []
