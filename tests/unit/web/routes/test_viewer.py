"""The files of the viewer: headers, compression, and the answer if it is not built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from starlette.staticfiles import StaticFiles

from tasks.settings import Settings
from tests.unit.web.support import TestClient
from web.app import create_app
from web.dependencies import Services
from web.routes import viewer


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "assets" / "index-C0ffee.js").write_text("let it = 'be';" * 100)
    (tmp_path / "secret.txt").write_text("not an asset")
    monkeypatch.setattr(viewer, "FILES", StaticFiles(directory=tmp_path))
    return tmp_path


@pytest.mark.usefixtures("built")
def test_given_the_viewer_when_opened_then_its_policy_permits_no_inline_or_foreign_code(client: TestClient) -> None:
    answer = client.get("/")

    assert (answer.status_code, answer.text) == (200, "<!doctype html>")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert client.get("/", headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    assert client.head("/").status_code == 200


@pytest.mark.usefixtures("built")
def test_given_sites_that_may_embed_the_viewer_then_only_its_own_url_permits_it(services: Services) -> None:
    frames = "'self' https://portal.example.com:8443"
    framed = replace(services, settings=services.settings.model_copy(update={"viewer_frame_ancestors": frames}))
    with TestClient(create_app(services=framed)) as client:
        page = client.get("/viewer/")
        assert (page.status_code, page.text) == (200, "<!doctype html>")
        assert page.headers["content-security-policy"].endswith(f"; frame-ancestors {frames}")
        assert client.get("/").headers["content-security-policy"].endswith("; frame-ancestors 'none'")
        assert client.get("/viewer/assets/index-C0ffee.js").status_code == 200
    with TestClient(create_app(services=services)) as client:
        assert client.get("/viewer/").headers["content-security-policy"].endswith("; frame-ancestors 'none'")


@pytest.mark.parametrize("frames", ["*", "'self'; script-src *", "https://a.example 'none'", "'self'\nset-cookie: x"])
def test_given_frame_ancestors_that_are_not_sites_then_the_setting_is_rejected(frames: str) -> None:
    with pytest.raises(ValidationError):
        Settings(viewer_frame_ancestors=frames)


@pytest.mark.usefixtures("built")
def test_given_an_asset_when_fetched_then_it_is_immutable_and_compressed(client: TestClient) -> None:
    answer = client.get("/assets/index-C0ffee.js", headers={"accept-encoding": "gzip"})

    assert answer.text == "let it = 'be';" * 100
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(answer.text)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    plain = client.get("/assets/index-C0ffee.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] == answer.headers["etag"]
    assert answer.headers["etag"].startswith("W/")  # not the same bytes, so no strong validator (RFC 9110, 8.8.3.3)
    assert client.get("/assets/index-C0ffee.js", headers={"if-none-match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("name", ["gone-1.js", "..%2Fsecret.txt", "..%2Findex.html", ".hidden"])
@pytest.mark.usefixtures("built")
def test_given_an_invalid_asset_name_when_fetched_then_no_other_file_is_sent(client: TestClient, name: str) -> None:
    answer = client.get(f"/assets/{name}")
    assert answer.status_code in (404, 422)
    assert "not an asset" not in answer.text


def test_given_a_new_build_when_opened_then_it_is_sent_at_once(client: TestClient, built: Path) -> None:
    client.get("/")
    (built / "index.html").write_text("<!doctype html>new")
    assert client.get("/").text == "<!doctype html>new"


def test_given_no_build_when_opened_then_404_says_how_to_build_it_and_the_api_works(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer, "FILES", StaticFiles(directory=tmp_path / "nowhere", check_dir=False))
    answer = client.get("/")
    assert (answer.status_code, answer.json()["code"]) == (404, "viewer-not-built")
    assert "Run `make viewer`" in answer.json()["detail"]
    assert client.get("/renders").status_code == 200
