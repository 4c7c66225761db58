"""The outputs of a render: cacheable, validated, safe to show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest

from tasks.jobs import Job
from tests.unit.web.support import TestClient, post
from web.dependencies import Services
from web.routes.downloads import CHUNK_SIZE, MAX_CACHED_FILE, delay, throttled

Finish = Callable[..., Job]


@pytest.fixture
def rendered(client: TestClient, finish: Finish) -> str:
    own: str = post(client).headers["location"]
    finish(own.rpartition("/")[2])
    return own


@pytest.mark.parametrize(
    ("name", "media_type", "content"),
    [
        ("manifest.json", "application/json", b'{"layers": []}'),
        ("preview.webp", "image/webp", b"RIFF preview"),
        ("layers/0.webp", "image/webp", b"RIFF layer"),
        ("layers/000.webp", "image/webp", b"RIFF layer"),
        ("preview.png", "image/png", b"PNG preview"),
        ("layers/0.png", "image/png", b"PNG layer"),
        ("tiles.dzi", "application/xml", b"<Image/>"),
        ("tiles_files/9/3_2.webp", "image/webp", b"RIFF tile"),
        ("layers/0.dzi", "application/xml", b"<Image />"),
        ("layers/0_files/9/3_2.webp", "image/webp", b"RIFF layer tile"),
    ],
)
def test_given_a_render_when_an_output_is_read_then_it_comes_with_its_type_and_may_be_kept(
    client: TestClient, rendered: str, name: str, media_type: str, content: bytes
) -> None:
    answer = client.get(f"{rendered}/{name}")

    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("known", ["{}", 'W/{}, "other"', "*"])
def test_given_an_etag_when_it_is_sent_back_then_304_without_a_body(
    client: TestClient, rendered: str, known: str
) -> None:
    etag = client.get(f"{rendered}/preview.webp").headers["etag"]
    answer = client.get(f"{rendered}/preview.webp", headers={"if-none-match": known.format(etag)})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    assert client.get(f"{rendered}/preview.webp", headers={"if-none-match": '"other"'}).status_code == 200
    assert client.get(f"{rendered}/manifest.json").headers["etag"] != etag


def test_given_an_etag_when_looked_at_then_it_does_not_tell_the_artifact_name(
    client: TestClient, rendered: str
) -> None:
    assert "a" * 16 not in client.get(f"{rendered}/preview.webp").headers["etag"]


def test_given_an_output_when_its_head_is_asked_for_then_the_headers_are_those_of_get(
    client: TestClient, rendered: str
) -> None:
    head, get = client.head(f"{rendered}/preview.webp"), client.get(f"{rendered}/preview.webp")
    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(get.headers)


def test_given_a_large_output_when_read_then_it_comes_whole(
    client: TestClient, services: Services, rendered: str
) -> None:
    large = bytes(range(256)) * (MAX_CACHED_FILE // 256) + b"and more"
    services.store.put(f"artifacts/acme/{'a' * 64}/layers/001.webp", large)

    answer = client.get(f"{rendered}/layers/1.webp")
    assert answer.content == large
    assert answer.headers["content-length"] == str(len(large))


def test_given_an_output_that_was_read_when_read_again_then_the_store_is_not_asked_and_a_large_one_is_not_kept(
    client: TestClient, services: Services, rendered: str
) -> None:
    artifact = f"artifacts/acme/{'a' * 64}"
    services.store.put(f"{artifact}/layers/001.webp", bytes(MAX_CACHED_FILE))
    services.store.put(f"{artifact}/layers/002.webp", bytes(MAX_CACHED_FILE + 1))
    addresses = [f"{rendered}/layers/{number}.webp" for number in (1, 2)]
    first = [client.get(address) for address in addresses]
    services.store.delete_tree(artifact)

    again = [client.get(address) for address in addresses]

    assert [answer.status_code for answer in first] == [200, 200]
    assert [answer.status_code for answer in again] == [200, 404]
    assert again[0].content == first[0].content
    assert dict(again[0].headers) == dict(first[0].headers)


@pytest.mark.parametrize(
    ("sent", "elapsed", "pause"), [(0, 0.0, 0.0), (1_000, 0.0, 1.0), (1_000, 0.75, 0.25), (1_000, 9.0, 0.0)]
)
def test_given_a_rate_when_a_download_is_ahead_of_it_then_it_waits_for_so_long(
    sent: int, elapsed: float, pause: float
) -> None:
    assert delay(sent, elapsed, rate=1_000) == pause


async def passed(services: Services, file: BytesIO) -> tuple[bytes, float]:
    begun = asyncio.get_running_loop().time()
    content = b"".join([chunk async for chunk in throttled(services, file, file.read(CHUNK_SIZE))])
    return content, asyncio.get_running_loop().time() - begun


def test_given_a_large_output_when_it_is_sent_then_no_faster_than_the_rate_and_its_file_is_closed(
    services: Services,
) -> None:
    rate = 10 * CHUNK_SIZE
    slow = replace(services, settings=services.settings.model_copy(update={"output_rate": rate}))
    file = BytesIO(bytes(3 * CHUNK_SIZE))

    content, seconds = asyncio.run(passed(slow, file))

    assert len(content) == 3 * CHUNK_SIZE
    assert seconds >= 2 * CHUNK_SIZE / rate  # the first chunk waits for nothing
    assert file.closed


def test_given_a_layer_that_is_not_there_when_read_then_404_points_to_the_manifest(
    client: TestClient, rendered: str
) -> None:
    answer = client.get(f"{rendered}/layers/7.webp")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-output")
    assert "its manifest lists what it has" in answer.json()["detail"]


def test_given_a_job_that_waits_when_an_output_is_read_then_404_says_when_there_will_be_one(
    client: TestClient,
) -> None:
    own = post(client).headers["location"]
    answer = client.get(f"{own}/preview.webp")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-rendered")
    assert "The render is queued: it has outputs once it has succeeded" in answer.json()["detail"]


def test_given_outputs_of_another_tenant_when_read_then_404(
    client: TestClient, rival: TestClient, rendered: str
) -> None:
    for name in ("manifest.json", "preview.webp", "layers/0.webp", "events"):
        assert rival.get(f"{rendered}/{name}").status_code == 404
    assert client.get(f"{rendered}/preview.webp").status_code == 200


def test_given_a_viewer_when_it_asks_for_many_tiles_then_the_ledger_is_asked_once(
    client: TestClient, services: Services, rendered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    whole = services.ledger.jobs.find

    def counted(job_id: str, tenant: str | None = None) -> Job | None:
        asked.append(job_id)
        return whole(job_id, tenant)

    monkeypatch.setattr(services.ledger.jobs, "find", counted)
    for _ in range(20):
        assert client.get(f"{rendered}/tiles_files/9/3_2.webp").status_code == 200
    assert len(asked) == 1

    assert client.delete(rendered).status_code == 204
    assert client.get(f"{rendered}/tiles_files/9/3_2.webp").status_code == 404


def test_given_a_render_that_is_remembered_when_a_stranger_asks_then_it_is_not_theirs(
    client: TestClient, rival: TestClient, rendered: str
) -> None:
    assert client.get(f"{rendered}/preview.webp").status_code == 200
    assert rival.get(f"{rendered}/preview.webp").status_code == 404


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("layers/-1.webp", "address.number"),
        (f"layers/{'9' * 5_000}.webp", "address.number"),
        ("tiles_files/9/3_x.webp", "address.row"),
        ("preview.webp?expires=tomorrow", "address.expires"),
        (f"preview.webp?expires=1&signature={'a' * 33}", "address.signature"),
    ],
)
def test_given_an_address_that_is_none_when_read_then_422_names_the_fault(
    client: TestClient, rendered: str, path: str, names: str
) -> None:
    answer = client.get(f"{rendered}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert [error["location"] for error in answer.json()["errors"]] == [names]


def test_given_the_outputs_when_described_then_every_part_of_an_address_is_told_once(client: TestClient) -> None:
    paths: dict[str, Any] = client.get("/openapi.json").json()["paths"]
    tile = paths["/renders/{render}/layers/{number}_files/{level}/{column}_{row}.webp"]

    assert set(tile) == {"get", "head"}
    parameters = {(each["name"], each["in"], each["required"]) for each in tile["get"]["parameters"]}
    inside = {(name, "path", True) for name in ("render", "number", "level", "column", "row")}
    assert parameters == inside | {("expires", "query", False), ("signature", "query", False)}
    assert len({operation["operationId"] for path in paths.values() for operation in path.values()}) == sum(
        map(len, paths.values())
    )
