"""POST /renders: accepted if durable; otherwise rejected with a reason, and nothing remains."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.jobs import Job, State
from tasks.renders import RenderOptions, artifact_key
from tests.unit.web.support import FakeBroker, TestClient, oversized_png, png, post, stored_sources
from web.dependencies import Services

Finish = Callable[..., Job]


def jobs(services: Services) -> list[Job]:
    return services.ledger.jobs.page("acme").jobs


def test_given_a_drawing_when_posted_then_202_and_the_job_is_stored_recorded_and_published(
    client: TestClient, services: Services, broker: FakeBroker
) -> None:
    answer = post(client, width="640", background="dark")

    assert answer.status_code == 202
    body = answer.json()
    assert body["state"] == "queued"
    assert answer.headers["location"] == body["links"]["self"] == f"/renders/{body['id']}"
    assert answer.headers["retry-after"] == "1"
    assert stored_sources(services) == [f"sources/acme/{body['id']}"]
    with services.store.open_read(stored_sources(services)[0]) as source:
        assert source.read() == png()
    job = services.ledger.jobs.find(body["id"], "acme")
    assert job is not None
    assert (job.state, job.filename, job.size) == (State.QUEUED, "plan.png", len(png()))
    assert job.plan is not None
    assert job.plan["format"] == "png"
    [message] = broker.messages
    assert message == {
        "version": 1,
        "job": body["id"],
        "tenant": "acme",
        "source": f"sources/acme/{body['id']}",
        "filename": "plan.png",
        "options": RenderOptions(width=640, background="dark").model_dump(),
        "traceparent": None,
        "webhook": None,
    }


def test_given_a_source_in_the_store_when_named_in_json_then_it_is_rendered(
    client: TestClient, services: Services, broker: FakeBroker
) -> None:
    services.store.put("sources/acme/pumps/station.png", png())

    answer = client.post("/renders", json={"source": "sources/acme/pumps/station.png", "options": {"width": 99}})

    assert answer.status_code == 202
    assert broker.messages[0]["source"] == "sources/acme/pumps/station.png"
    assert broker.messages[0]["options"]["width"] == 99


@pytest.mark.parametrize("source", ["sources/acme/none", "sources/rival/drawing"])
def test_given_a_missing_or_foreign_source_when_named_then_404(
    client: TestClient, services: Services, source: str
) -> None:
    services.store.put("sources/rival/drawing", png())
    answer = client.post("/renders", json={"source": source})
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-file")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "Invalid JSON"),
        (b'"text"', 422, "should be an object"),
        (b"{}", 422, "body.source: Field required"),
        (b'{"source": "/etc/passwd"}', 422, "body.source"),
        (b'{"source": "sources/acme/../rival/x"}', 422, "body.source"),
        (b'{"source": "sources/acme/x", "colour": 1}', 422, "body.colour: Extra inputs are not permitted"),
        (b'{"source": "sources/acme/x", "options": {"width": "9"}}', 422, "body.options.width"),
        (b'{"source": "sources/acme/x", "options": {"width": 10.5}}', 422, "body.options.width"),
        (b" " * 70_000, 413, "exceeds the limit of 64.0 KiB"),
    ],
)
def test_given_invalid_json_when_posted_then_the_error_is_named(
    client: TestClient, body: bytes, status: int, message: str
) -> None:
    answer = client.post("/renders", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert message in answer.json()["detail"]


def test_given_a_preset_when_posted_then_options_in_the_request_override_it(
    client: TestClient, broker: FakeBroker
) -> None:
    assert post(client, preset="poster", width="640").status_code == 202
    body = {"source": broker.messages[0]["source"], "preset": "poster", "options": {"background": "light"}}
    assert client.post("/renders", json=body).status_code == 202

    options = [(message["options"]["width"], message["options"]["background"]) for message in broker.messages]
    assert options == [(640, "dark"), (900, "light")]


@pytest.mark.parametrize(("preset", "message"), [("postr", "Choose one of: broken, poster"), ("broken", "colour")])
def test_given_an_unknown_or_invalid_preset_when_posted_then_422_says_so(
    client: TestClient, services: Services, preset: str, message: str
) -> None:
    answer = post(client, preset=preset)

    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    assert stored_sources(services) == []


def test_given_invalid_options_when_posted_then_422_names_them_and_nothing_is_stored(
    client: TestClient, services: Services, tmp_path: Path
) -> None:
    answer = post(client, colour="red", width="wide")

    assert answer.status_code == 422
    assert {part["location"] for part in answer.json()["errors"]} == {"options.colour", "options.width"}
    assert stored_sources(services) == []
    assert list((tmp_path / "store" / ".tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("drawing", "code"), [(b"", "empty"), (b"neither fish nor fowl", "unknown-format"), (png()[:20], "truncated")]
)
def test_given_a_file_that_is_not_a_drawing_when_posted_then_422_says_why_and_nothing_is_stored(
    client: TestClient, services: Services, broker: FakeBroker, drawing: bytes, code: str
) -> None:
    answer = post(client, drawing)

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (jobs(services), stored_sources(services), broker.messages) == ([], [], [])


def test_given_a_drawing_over_the_memory_limit_when_posted_then_413_contains_the_plan(
    client: TestClient, services: Services
) -> None:
    answer = post(client, oversized_png(60_000))

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (413, "too-large")
    assert problem["plan"]["peak_bytes"] > services.settings.memory_limit
    assert "MiB" in problem["detail"]
    assert jobs(services) == []


@pytest.mark.parametrize("declared", [True, False])
def test_given_an_upload_over_the_limit_when_posted_then_413_and_nothing_is_stored(
    client: TestClient, tmp_path: Path, declared: bool
) -> None:
    form = (
        b'--x\r\nContent-Disposition: form-data; name="blueprint"; filename="a"\r\n\r\n' + bytes(2 << 20) + b"\r\n--x--"
    )
    body: Any = form if declared else io.BytesIO(form)
    answer = client.post("/renders", content=body, headers={"content-type": "multipart/form-data; boundary=x"})

    assert (answer.status_code, answer.json()["code"]) == (413, "upload-too-large")
    assert "1.0 MiB" in answer.json()["detail"]
    assert list((tmp_path / "store" / ".tmp").iterdir()) == []


def test_given_another_media_type_when_posted_then_415_names_the_supported_ones(client: TestClient) -> None:
    answer = client.post("/renders", content=b"x", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert "multipart/form-data" in answer.json()["detail"]


def test_given_a_rendered_drawing_when_the_same_tenant_posts_it_again_then_it_has_succeeded_at_once(
    client: TestClient, rival: TestClient, services: Services, broker: FakeBroker, finish: Finish
) -> None:
    first = post(client).json()
    digest = services.ledger.jobs.find(first["id"]).digest  # type: ignore[union-attr]
    assert digest is not None
    finish(first["id"], artifact_key("a secret of the test", "acme", digest, RenderOptions()))

    again = post(client).json()

    assert again["state"] == "succeeded"
    assert len(broker.messages) == 1
    assert client.get(again["links"]["preview"]).content == b"RIFF preview"
    assert post(client, width="77").json()["state"] == "queued"
    assert post(rival).json()["state"] == "queued"


def test_given_a_traceparent_when_posted_then_the_message_contains_it_if_it_is_valid(
    client: TestClient, broker: FakeBroker
) -> None:
    good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    for header in (good, good.upper(), "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "ff" + good[2:], "nonsense"):
        post(client, headers={"traceparent": header})
    assert [message["traceparent"] for message in broker.messages] == [good, None, None, None, None]


def test_given_prefer_wait_when_the_job_finishes_in_time_then_200_otherwise_202(
    client: TestClient, broker: FakeBroker, finish: Finish
) -> None:
    record = broker.publish

    def publish(task: str, job_id: str, message: dict[str, Any], *, queue: str | None = None) -> None:
        record(task, job_id, message, queue=queue)
        finish(job_id)

    broker.publish = publish  # type: ignore[method-assign]
    done = post(client, headers={"prefer": "respond-async, wait=5"})
    broker.publish = record  # type: ignore[method-assign]
    late = post(client, png(salt=b"other"), headers={"prefer": "wait=0"})

    assert done.status_code == 200
    assert done.headers["preference-applied"] == "wait=5"
    assert done.json()["attempts"][0]["outcome"] == "succeeded"
    assert late.status_code == 202
    assert late.headers["preference-applied"] == "wait=0"


def test_given_a_hostile_filename_when_posted_then_it_is_sanitized(client: TestClient, broker: FakeBroker) -> None:
    name = "../../etc/\u202epass\x01wd.png"
    head = f'--x\r\nContent-Disposition: form-data; name="blueprint"; filename="{name}"\r\n\r\n'
    form = head.encode() + png() + b"\r\n--x--"
    answer = client.post("/renders", content=form, headers={"content-type": "multipart/form-data; boundary=x"})

    assert answer.status_code == 202
    assert broker.messages[0]["filename"] == "passwd.png"
    json.dumps(broker.messages)


def test_given_renders_with_and_without_tiles_when_posted_then_each_goes_to_its_queue(
    client: TestClient, services: Services, broker: FakeBroker
) -> None:
    post(client)
    post(client, png(salt=b"other"), tiles="true")

    assert broker.queues == ["render", "render.tiles"]
    assert sorted(job.queue for job in jobs(services)) == ["render", "render.tiles"]


def test_given_a_full_queue_for_tiles_when_posted_then_tiles_are_rejected_and_previews_are_accepted(
    client: TestClient, services: Services, broker: FakeBroker
) -> None:
    broker.depths["render.tiles"] = 100

    rejected = post(client, tiles="true")

    assert (rejected.status_code, rejected.json()["code"]) == (429, "queue-full")
    assert int(rejected.headers["retry-after"]) > 0
    assert "The queue 'render.tiles' is full" in rejected.json()["detail"]
    assert (jobs(services), stored_sources(services)) == ([], [])
    assert post(client).status_code == 202


def test_given_a_queue_for_large_drawings_when_a_drawing_needs_it_then_it_is_queued_there(
    client: TestClient, services: Services, broker: FakeBroker
) -> None:
    assert post(client, oversized_png(12_000)).status_code == 413

    object.__setattr__(services, "settings", services.settings.model_copy(update={"large_memory_limit": 1 << 33}))

    assert post(client, oversized_png(12_000)).status_code == 202
    assert broker.queues == ["render.large"]
