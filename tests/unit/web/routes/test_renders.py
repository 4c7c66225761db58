"""Looking at renders, listing them, taking them away."""

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


def test_given_a_running_job_when_looked_at_then_its_attempt_and_true_progress_are_told(
    client: TestClient, services: Services
) -> None:
    own = post(client).json()
    job = services.ledger.jobs.find(own["id"])
    assert job is not None
    assert isinstance(services.ledger.attempts.claim(job, lease_owner="h:1:x", now=1.0, lease=30), Claimed)
    stale = ProgressMessage(job=job.id, tenant="acme", state="running", attempt=0, percent=90, stage="encode")
    services.progress_hub.publish(stale)
    before = client.get(own["links"]["self"])
    services.progress_hub.publish(
        stale.model_copy(update={"attempt": 1, "percent": 40, "stage": "draw", "layer": "PIPES"})
    )
    render = client.get(own["links"]["self"]).json()

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


def test_given_a_job_that_failed_when_looked_at_then_its_error_is_told(client: TestClient, services: Services) -> None:
    own = post(client).json()
    job = services.ledger.jobs.find(own["id"])
    assert job is not None
    services.ledger.attempts.claim(job, lease_owner="h:1:x", now=1.0, lease=30)
    error = {"code": "broken", "detail": "Export it again."}
    services.ledger.attempts.fail(job.id, 1, now=2.0, error=error)

    assert client.get(own["links"]["self"]).json()["error"] == error
    assert client.get("/renders").json()["renders"][0]["error"] == error


@pytest.mark.parametrize("method", ["get", "delete"])
def test_given_a_foreign_or_unknown_id_when_used_then_404_alike(
    client: TestClient, rival: TestClient, method: str
) -> None:
    own = post(client).json()["links"]["self"]
    foreign = getattr(rival, method)(own)
    unknown = getattr(rival, method)(f"/renders/{uuid4()}")

    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() == unknown.json()
    assert foreign.json()["code"] == "no-such-render"
    assert client.get(own).status_code == 200


def test_given_an_id_that_is_none_when_used_then_422_names_it(client: TestClient) -> None:
    answer = client.get("/renders/none")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == "path.render"


def test_given_many_jobs_when_listed_then_pages_go_from_newest_to_oldest_without_loss(client: TestClient) -> None:
    made = [post(client, png(salt=bytes([number]))).json()["id"] for number in range(1, 6)]
    seen: list[str] = []
    following: str | None = "/renders?limit=2"
    while following:
        page: dict[str, Any] = client.get(following).json()
        seen += [render["id"] for render in page["renders"]]
        following = page["next"]

    assert seen == made[::-1]


def test_given_tiles_of_one_layer_when_listed_without_parts_then_they_are_left_out_on_every_page(
    client: TestClient,
) -> None:
    whole = [post(client, png(salt=bytes([number]))).json()["id"] for number in range(3)]
    post(client, tiles="true", tile_layer="0")

    first = client.get("/renders?include_tile_jobs=false&limit=2").json()
    second = client.get(first["next"]).json()

    assert [job["id"] for job in first["renders"] + second["renders"]] == whole[::-1]
    assert len(client.get("/renders").json()["renders"]) == 4


def test_given_jobs_when_searched_then_name_id_and_state_narrow_the_list(
    client: TestClient, rival: TestClient, finish: Finish
) -> None:
    files_ = {"blueprint": ("Pump & Station 100%.png", png(), "image/png")}
    pump = client.post("/renders", files=files_).json()["id"]
    other = post(client).json()["id"]
    post(rival)
    finish(other)

    def listed(**query: str) -> list[str]:
        return [render["id"] for render in client.get("/renders", params=query).json()["renders"]]

    assert listed(q="pump & station 100%") == [pump]
    assert listed(q=pump[:13]) == [pump]
    assert listed(state="succeeded") == [other]
    assert listed(q="nothing like it") == []
    assert set(listed()) == {pump, other}


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
def test_given_a_query_that_is_wrong_when_listed_then_422(client: TestClient, query: str) -> None:
    assert client.get(f"/renders?{query}").status_code == 422


def test_given_an_open_job_when_deleted_then_it_is_cancelled_and_still_listed(
    client: TestClient, services: Services
) -> None:
    own = post(client).json()
    answer = client.delete(own["links"]["self"])

    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    render = client.get(own["links"]["self"]).json()
    assert (render["state"], render["error"]["code"]) == ("cancelled", "cancelled")
    assert len(stored_sources(services)) == 1


def test_given_a_settled_job_when_deleted_then_it_is_gone_with_its_source_and_outputs(
    client: TestClient, services: Services, finish: Finish
) -> None:
    own = post(client).json()
    finish(own["id"])
    answer = client.delete(own["links"]["self"])

    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(own["links"]["self"]).status_code == 404
    assert stored_sources(services) == []
    assert list(services.store.list("artifacts")) == []


def test_given_files_that_two_jobs_share_when_one_is_removed_then_they_stay_until_the_other_is(
    client: TestClient, services: Services, finish: Finish
) -> None:
    services.store.put("sources/acme/shared.png", png())
    twins = [client.post("/renders", json={"source": "sources/acme/shared.png"}).json() for _ in range(2)]
    for twin in twins:
        finish(twin["id"])

    client.delete(twins[0]["links"]["self"])
    assert (
        client.get(
            twins[1]["links"]["preview"]
            if "preview" in twins[1]["links"]
            else f"{twins[1]['links']['self']}/preview.webp"
        ).status_code
        == 200
    )
    assert stored_sources(services) == ["sources/acme/shared.png"]

    client.delete(twins[1]["links"]["self"])
    assert stored_sources(services) == []
    assert list(services.store.list("artifacts")) == []
