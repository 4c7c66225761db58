"""Reading, listing and removing renders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tasks.jobs import Claimed, Job
from tasks.messaging.progress import ProgressMessage
from tests.unit.web.support import TestClient, png, post, stored_sources
from web.dependencies import Services

Finish = Callable[..., Job]


def test_given_a_running_job_when_read_then_its_attempt_and_current_progress_are_returned(
    client: TestClient, services: Services
) -> None:
    created = post(client).json()
    job = services.ledger.jobs.find(created["id"])
    assert job is not None
    assert isinstance(services.ledger.attempts.claim(job, lease_owner="h:1:x", now=1.0, lease=30), Claimed)
    stale = ProgressMessage(job=job.id, tenant="acme", state="running", attempt=0, percent=90, stage="encode")
    services.progress_hub.publish(stale)
    before = client.get(created["links"]["self"])
    services.progress_hub.publish(
        stale.model_copy(update={"attempt": 1, "percent": 40, "stage": "draw", "layer": "PIPES"})
    )
    render = client.get(created["links"]["self"]).json()

    assert before.headers["cache-control"] == "no-store"
    assert before.json()["progress"] == {"percent": 0, "stage": "", "layer": ""}
    assert (render["state"], render["queue"]) == ("running", "render")
    assert render["progress"] == {"percent": 40, "stage": "draw", "layer": "PIPES"}
    assert render["attempts"] == [
        {
            "number": 1,
            "outcome": "running",
            "started_at": "1970-01-01T00:00:01Z",
            "ended_at": None,
            "cause": None,
            "explanation": None,
            "facts": None,
        }
    ]


def test_given_a_failed_job_when_read_then_its_error_is_returned(client: TestClient, services: Services) -> None:
    created = post(client).json()
    job = services.ledger.jobs.find(created["id"])
    assert job is not None
    services.ledger.attempts.claim(job, lease_owner="h:1:x", now=1.0, lease=30)
    error = {"code": "broken", "detail": "Export it again."}
    services.ledger.attempts.fail(job.id, 1, now=2.0, error=error)

    assert client.get(created["links"]["self"]).json()["error"] == error
    assert client.get("/renders").json()["renders"][0]["error"] == error


@pytest.mark.parametrize("method", ["get", "delete"])
def test_given_a_foreign_or_unknown_id_when_used_then_the_same_404(
    client: TestClient, rival: TestClient, method: str
) -> None:
    url = post(client).json()["links"]["self"]
    foreign = getattr(rival, method)(url)
    unknown = getattr(rival, method)(f"/renders/{uuid4()}")

    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() == unknown.json()
    assert foreign.json()["code"] == "no-such-render"
    assert client.get(url).status_code == 200


def test_given_an_invalid_id_when_used_then_422_names_it(client: TestClient) -> None:
    answer = client.get("/renders/none")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == "path.render"


def test_given_many_jobs_when_listed_then_pages_contain_all_of_them_newest_first(client: TestClient) -> None:
    created = [post(client, png(salt=bytes([number]))).json()["id"] for number in range(1, 6)]
    seen: list[str] = []
    next_page: str | None = "/renders?limit=2"
    while next_page:
        page: dict[str, Any] = client.get(next_page).json()
        seen += [render["id"] for render in page["renders"]]
        next_page = page["next"]

    assert seen == created[::-1]


def test_given_tile_jobs_of_one_layer_when_excluded_then_no_page_lists_them(
    client: TestClient,
) -> None:
    whole = [post(client, png(salt=bytes([number]))).json()["id"] for number in range(3)]
    post(client, tiles="true", tile_layer="0")

    first = client.get("/renders?include_tile_jobs=false&limit=2").json()
    second = client.get(first["next"]).json()

    assert [job["id"] for job in first["renders"] + second["renders"]] == whole[::-1]
    assert len(client.get("/renders").json()["renders"]) == 4


def test_given_jobs_when_searched_then_name_id_and_state_filter_the_list(
    client: TestClient, rival: TestClient, finish: Finish
) -> None:
    files = {"blueprint": ("Pump & Station 100%.png", png(), "image/png")}
    pump = client.post("/renders", files=files).json()["id"]
    other = post(client).json()["id"]
    post(rival)
    finish(other)

    def search(**query: str) -> list[str]:
        return [render["id"] for render in client.get("/renders", params=query).json()["renders"]]

    assert search(q="pump & station 100%") == [pump]
    assert search(q=pump[:13]) == [pump]
    assert search(state="succeeded") == [other]
    assert search(q="nothing like it") == []
    assert set(search()) == {pump, other}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "state=lost",
        "limit=x",
        "cursor=x",
        "cursor=nan_1",
        "cursor=1e9_81bb8ed3-9fe6-4303-bc0a-884f96ef9a34",
    ],
)
def test_given_an_invalid_query_when_listed_then_422(client: TestClient, query: str) -> None:
    assert client.get(f"/renders?{query}").status_code == 422


def test_given_an_open_job_when_deleted_then_it_is_cancelled_and_still_search(
    client: TestClient, services: Services
) -> None:
    created = post(client).json()
    answer = client.delete(created["links"]["self"])

    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    render = client.get(created["links"]["self"]).json()
    assert (render["state"], render["error"]["code"]) == ("cancelled", "cancelled")
    assert len(stored_sources(services)) == 1


def test_given_a_finished_job_when_deleted_then_it_is_removed_with_its_source_and_outputs(
    client: TestClient, services: Services, finish: Finish
) -> None:
    created = post(client).json()
    finish(created["id"])
    answer = client.delete(created["links"]["self"])

    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(created["links"]["self"]).status_code == 404
    assert stored_sources(services) == []
    assert list(services.store.list("artifacts")) == []


def test_given_two_jobs_with_shared_files_when_one_is_removed_then_the_files_stay_until_both_are(
    client: TestClient, services: Services, finish: Finish
) -> None:
    services.store.put("sources/acme/shared.png", png())
    jobs = [client.post("/renders", json={"source": "sources/acme/shared.png"}).json() for _ in range(2)]
    for job in jobs:
        finish(job["id"])

    client.delete(jobs[0]["links"]["self"])
    assert (
        client.get(
            jobs[1]["links"]["preview"] if "preview" in jobs[1]["links"] else f"{jobs[1]['links']['self']}/preview.webp"
        ).status_code
        == 200
    )
    assert stored_sources(services) == ["sources/acme/shared.png"]

    client.delete(jobs[1]["links"]["self"])
    assert stored_sources(services) == []
    assert list(services.store.list("artifacts")) == []
