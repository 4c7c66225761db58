"""The outputs of a render: cacheable, validated and safe to display."""

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
    url: str = post(client).headers["location"]
    finish(url.rpartition("/")[2])
    return url


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
def test_given_a_render_when_an_output_is_read_then_it_has_its_media_type_and_is_cacheable(
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


def test_given_an_etag_then_it_does_not_reveal_the_artifact_key(client: TestClient, rendered: str) -> None:
    assert "a" * 16 not in client.get(f"{rendered}/preview.webp").headers["etag"]


def test_given_an_output_when_requested_by_head_then_the_headers_equal_those_of_get(
    client: TestClient, rendered: str
) -> None:
    head, get = client.head(f"{rendered}/preview.webp"), client.get(f"{rendered}/preview.webp")
    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(get.headers)


def test_given_a_large_output_when_read_then_it_is_complete(
    client: TestClient, services: Services, rendered: str
) -> None:
    large = bytes(range(256)) * (MAX_CACHED_FILE // 256) + b"and more"
    services.store.put(f"artifacts/acme/{'a' * 64}/layers/001.webp", large)

    answer = client.get(f"{rendered}/layers/1.webp")
    assert answer.content == large
    assert answer.headers["content-length"] == str(len(large))


def test_given_outputs_when_read_again_then_small_ones_come_from_the_cache_and_large_ones_do_not(
    client: TestClient, services: Services, rendered: str
) -> None:
    artifact = f"artifacts/acme/{'a' * 64}"
    services.store.put(f"{artifact}/layers/001.webp", bytes(MAX_CACHED_FILE))
    services.store.put(f"{artifact}/layers/002.webp", bytes(MAX_CACHED_FILE + 1))
    urls = [f"{rendered}/layers/{number}.webp" for number in (1, 2)]
    first = [client.get(url) for url in urls]
    services.store.delete_tree(artifact)

    again = [client.get(url) for url in urls]

    assert [answer.status_code for answer in first] == [200, 200]
    assert [answer.status_code for answer in again] == [200, 404]
    assert again[0].content == first[0].content
    assert dict(again[0].headers) == dict(first[0].headers)


@pytest.mark.parametrize(
    ("sent", "elapsed", "expected"), [(0, 0.0, 0.0), (1_000, 0.0, 1.0), (1_000, 0.75, 0.25), (1_000, 9.0, 0.0)]
)
def test_given_a_rate_limit_when_a_download_exceeds_it_then_it_is_delayed(
    sent: int, elapsed: float, expected: float
) -> None:
    assert delay(sent, elapsed, rate=1_000) == expected


async def download(services: Services, file: BytesIO) -> tuple[bytes, float]:
    started = asyncio.get_running_loop().time()
    content = b"".join([chunk async for chunk in throttled(services, file, file.read(CHUNK_SIZE))])
    return content, asyncio.get_running_loop().time() - started


def test_given_a_large_output_when_sent_then_the_rate_limit_is_kept_and_the_file_is_closed(
    services: Services,
) -> None:
    rate = 10 * CHUNK_SIZE
    slow = replace(services, settings=services.settings.model_copy(update={"output_rate": rate}))
    file = BytesIO(bytes(3 * CHUNK_SIZE))

    content, seconds = asyncio.run(download(slow, file))

    assert len(content) == 3 * CHUNK_SIZE
    assert seconds >= 2 * CHUNK_SIZE / rate  # the first chunk is not delayed
    assert file.closed


def test_given_a_missing_layer_when_read_then_404_points_to_the_manifest(client: TestClient, rendered: str) -> None:
    answer = client.get(f"{rendered}/layers/7.webp")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-output")
    assert "See its manifest" in answer.json()["detail"]


def test_given_a_queued_job_when_an_output_is_read_then_404_says_when_it_will_exist(
    client: TestClient,
) -> None:
    url = post(client).headers["location"]
    answer = client.get(f"{url}/preview.webp")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-rendered")
    assert "The render is queued. It has outputs only after it succeeds." in answer.json()["detail"]


def test_given_outputs_of_another_tenant_when_read_then_404(
    client: TestClient, rival: TestClient, rendered: str
) -> None:
    for name in ("manifest.json", "preview.webp", "layers/0.webp", "events"):
        assert rival.get(f"{rendered}/{name}").status_code == 404
    assert client.get(f"{rendered}/preview.webp").status_code == 200


def test_given_a_viewer_that_requests_many_tiles_then_the_ledger_is_queried_once(
    client: TestClient, services: Services, rendered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queried: list[str] = []
    find = services.ledger.jobs.find

    def counted(job_id: str, tenant: str | None = None) -> Job | None:
        queried.append(job_id)
        return find(job_id, tenant)

    monkeypatch.setattr(services.ledger.jobs, "find", counted)
    for _ in range(20):
        assert client.get(f"{rendered}/tiles_files/9/3_2.webp").status_code == 200
    assert len(queried) == 1

    assert client.delete(rendered).status_code == 204
    assert client.get(f"{rendered}/tiles_files/9/3_2.webp").status_code == 404


def test_given_a_cached_render_when_another_tenant_requests_it_then_404(
    client: TestClient, rival: TestClient, rendered: str
) -> None:
    assert client.get(f"{rendered}/preview.webp").status_code == 200
    assert rival.get(f"{rendered}/preview.webp").status_code == 404


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("layers/-1.webp", "address.number"),
        (f"layers/{'9' * 5_000}.webp", "address.number"),
        ("tiles_files/9/3_x.webp", "address.row"),
        ("preview.webp?expires=tomorrow", "address.expires"),
        (f"preview.webp?expires=1&signature={'a' * 33}", "address.signature"),
    ],
)
def test_given_an_invalid_output_url_when_read_then_422_names_the_error(
    client: TestClient, rendered: str, path: str, location: str
) -> None:
    answer = client.get(f"{rendered}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert [error["location"] for error in answer.json()["errors"]] == [location]


def test_given_the_openapi_document_then_every_parameter_of_an_output_is_described_once(client: TestClient) -> None:
    paths: dict[str, Any] = client.get("/openapi.json").json()["paths"]
    tile = paths["/renders/{render}/layers/{number}_files/{level}/{column}_{row}.webp"]

    assert set(tile) == {"get", "head"}
    parameters = {(each["name"], each["in"], each["required"]) for each in tile["get"]["parameters"]}
    in_path = {(name, "path", True) for name in ("render", "number", "level", "column", "row")}
    assert parameters == in_path | {("expires", "query", False), ("signature", "query", False)}
    assert len({operation["operationId"] for path in paths.values() for operation in path.values()}) == sum(
        map(len, paths.values())
    )
