"""WordPress behind the edge, as its people use it: drawings are uploaded, seen, shown in posts, and refused."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import APIResponse, Browser, BrowserContext, FilePayload, expect

from cli.embedded.process import NotInstalled
from tests.browser.conftest import Shot
from tests.conftest import Broker, without
from tests.services.edge.front import TENANT, Front, fronted
from tests.services.edge.wordpress import WordPress
from tests.services.mariadb import MariaDb

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

INSERT = """(id) => {
  const block = wp.blocks.createBlock("bulkhead/drawing", { id });
  wp.data.dispatch("core/block-editor").insertBlock(block);
}"""

As = Callable[[str | None], AbstractContextManager[BrowserContext]]


@pytest.fixture(scope="module")
def wordpress(session_broker: Broker, session_mariadb: MariaDb) -> Iterator[WordPress]:
    """A fresh site with our plugin, behind the edge, and a worker."""
    session_broker.forget()
    sites: list[WordPress] = []

    def lay(front: Front) -> None:
        sites.append(WordPress(front, session_mariadb.fresh_database()))

    try:
        with fronted(session_broker.url, lay, viewer_frame_ancestors="'self'") as front:
            front.platform.start_worker(child_niceness="0")
            sites[0].install()
            yield sites[0]
    except NotInstalled as error:
        without(error)


@pytest.fixture(scope="module")
def known(browser: Browser, wordpress: WordPress) -> As:
    """The browser of a person who has signed in, or of a stranger (None)."""
    cookies: dict[str, Any] = {}

    @contextmanager
    def known(user: str | None) -> Iterator[BrowserContext]:
        with browser.new_context(base_url=wordpress.front.url, viewport={"width": 1280, "height": 800}) as context:
            if user is not None:
                if user not in cookies:
                    wordpress.sign_in(context, user)
                    cookies[user] = context.cookies()
                context.add_cookies(cookies[user])
            yield context

    return known


@pytest.fixture(scope="module")
def uploaded(known: As, floorplan: Path) -> int:
    """Id of a drawing of Ann's, uploaded through the page of the administration."""
    with known("ann") as context:
        page = context.new_page()
        page.goto("/wp-admin/media-new.php")
        page.locator(".moxie-shim input[type=file]").set_input_files(floorplan)
        picture = page.locator(".media-item img.pinkynail")
        picture.wait_for(state="attached", timeout=20_000)
        page.wait_for_function("document.querySelector('.media-item img.pinkynail').naturalWidth > 0", timeout=60_000)
        address = picture.get_attribute("src")
        page.screenshot(path=Path(__file__).with_name("artifacts") / "wordpress-upload.png")
    found = re.search(r"drawing=(\d+)", address or "")
    assert found is not None
    return int(found[1])


def send(context: BrowserContext, name: str, content: bytes) -> APIResponse:
    """Upload as the page does, with its nonce."""
    page = context.request.get("/wp-admin/media-new.php").text()
    nonce = re.search(r'name="_wpnonce" value="(\w+)"', page)
    fields = {"_wpnonce": nonce[1] if nonce else "", "short": "1", "name": name}
    file: FilePayload = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    return context.request.post("/wp-admin/async-upload.php", multipart={**fields, "async-upload": file})


def kept(wordpress: WordPress) -> list[str]:
    """Names of all drawings in the store, and of all files below the public folder of uploads."""
    folders = (wordpress.front.platform.store / "sources", wordpress.uploads)
    return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())


def job_of(wordpress: WordPress, drawing: int) -> str:
    return str(wordpress.run(f"return get_post_meta({drawing}, '_bulkhead_job', true);"))


def complaints(wordpress: WordPress) -> list[str]:
    """What PHP had to say about our own code, but that there is no file, which is so on purpose."""
    lines = wordpress.log.read_text().splitlines()
    return [line for line in lines if "bulkhead/" in line and "getimagesize(" not in line]


def test_given_a_fresh_site_when_a_drawing_is_uploaded_by_the_admin_page_then_its_preview_is_seen_and_php_has_no_file(
    wordpress: WordPress, known: As, uploaded: int, floorplan: Path, shot: Shot
) -> None:
    job = job_of(wordpress, uploaded)
    assert kept(wordpress) == [job]
    source = wordpress.front.platform.store / "sources" / TENANT / job
    assert source.read_bytes() == floorplan.read_bytes()

    with known("ann") as context:
        page = context.new_page()
        page.goto(f"/wp-admin/post.php?post={uploaded}&action=edit")
        page.wait_for_function("document.querySelector('.wp_attachment_image img').naturalWidth == 2048")
        expect(page.get_by_role("button", name="Edit Image")).to_have_count(0)
        shot(page, "wordpress-attachment")
        answer = context.request.get(
            f"/wp-admin/admin-ajax.php?action=bulkhead_preview&drawing={uploaded}", max_redirects=0
        )
        signed = rf"^{wordpress.front.url}/renders/{job}/preview\.webp\?until=\d+&signature=[0-9a-f]{{32}}$"
        assert answer.status == 302
        assert re.match(signed, answer.headers["location"])
        original = context.request.get(f"/wp-admin/admin-ajax.php?action=bulkhead_original&drawing={uploaded}")
        assert original.body() == floorplan.read_bytes()
        assert original.headers["content-disposition"] == "attachment; filename*=UTF-8''floorplan.dxf"
        page.goto("/wp-admin/upload.php?mode=grid")
        page.wait_for_function("document.querySelector('.attachment img')?.naturalWidth > 0")
        shot(page, "wordpress-library")
    assert complaints(wordpress) == []


def test_given_a_drawing_that_waits_then_its_page_shows_how_far_it_is_then_the_picture_and_deleting_takes_all_away(
    wordpress: WordPress, known: As, uploaded: int, floorplan: Path
) -> None:
    worker = wordpress.front.platform.process("render1")
    with known("ann") as context:
        page = context.new_page()
        os.killpg(worker.pid, signal.SIGSTOP)
        try:
            drawing = int(send(context, "Süd 2.dxf", floorplan.read_bytes()).text())
            page.goto(f"/wp-admin/post.php?post={drawing}&action=edit")
            expect(page.locator("progress")).to_be_visible()
            expect(page.locator(".bulkhead-words")).to_have_text("queued")
        finally:
            os.killpg(worker.pid, signal.SIGCONT)
        expect(page.locator(".wp_attachment_image img")).to_be_visible(timeout=30_000)
        expect(page.locator("progress")).to_have_count(0)
    assert len(kept(wordpress)) == 2
    wordpress.run(f"return wp_delete_attachment({drawing}, true)->ID;")
    assert kept(wordpress) == [job_of(wordpress, uploaded)]


def test_given_a_drawing_that_cannot_be_drawn_then_its_page_says_why(wordpress: WordPress, known: As) -> None:
    with known("ann") as context:
        drawing = int(send(context, "torn.pdf", b"%PDF-1.7 and nothing more").text())
        page = context.new_page()
        page.goto(f"/wp-admin/post.php?post={drawing}&action=edit")
        expect(page.locator(".bulkhead-words")).to_contain_text("PDF", timeout=30_000)
        page.goto(f"/wp-admin/admin-ajax.php?action=bulkhead_view&drawing={drawing}")
        expect(page.locator("p")).to_contain_text("PDF")
    wordpress.run(f"return wp_delete_attachment({drawing}, true)->ID;")


def test_given_a_drawing_sent_by_rest_then_it_is_created_and_no_file_of_it_is_public(
    wordpress: WordPress, known: As, uploaded: int
) -> None:
    with known("ann") as context:
        answer = context.request.post(
            "/?rest_route=/wp/v2/media",
            data=b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9v9z"/></svg>',
            headers={
                "content-disposition": 'attachment; filename="mark.svg"',
                "content-type": "image/svg+xml",
                "x-wp-nonce": context.request.get("/wp-admin/admin-ajax.php?action=rest-nonce").text(),
            },
        )
        drawing = answer.json()
        assert answer.status == 201
        assert answer.headers["location"].endswith(f"/wp/v2/media/{drawing['id']}")
        assert drawing["source_url"].endswith(f"admin-ajax.php?action=bulkhead_view&drawing={drawing['id']}")
    assert kept(wordpress) == sorted([job_of(wordpress, uploaded), job_of(wordpress, drawing["id"])])
    wordpress.run(f"return wp_delete_attachment({drawing['id']}, true)->ID;")


@pytest.mark.parametrize("user", ["sue", "ben", None])
def test_given_a_person_without_the_right_then_file_preview_view_and_status_are_refused(
    wordpress: WordPress, known: As, uploaded: int, user: str | None
) -> None:
    with known(user) as context:
        for action in ("preview", "view", "original"):
            address = f"/wp-admin/admin-ajax.php?action=bulkhead_{action}&drawing={uploaded}"
            assert context.request.get(address, max_redirects=0).status == 403, action
            assert context.request.get(f"{address}&post=1", max_redirects=0).status == 403, action
        for route in (f"bulkhead/v1/drawings/{uploaded}", f"wp/v2/media/{uploaded}"):
            assert context.request.get(f"/?rest_route=/{route}").status in (401, 403), route
        listed = context.request.get("/?rest_route=/wp/v2/media")
        assert (listed.status, listed.json()) == (200, [])
        assert context.request.get(f"/?attachment_id={uploaded}").status == 404
        assert (
            context.request.get(f"/wp-content/uploads/bulkhead/{job_of(wordpress, uploaded)}/floorplan.dxf").status
            == 404
        )
        assert context.request.get(f"/renders/{job_of(wordpress, uploaded)}/preview.webp").status == 401


def test_given_a_subscriber_when_uploading_then_it_is_refused_and_nothing_is_kept(
    wordpress: WordPress, known: As, uploaded: int, floorplan: Path
) -> None:
    with known("sue") as context:
        assert context.new_page().goto("/wp-admin/media-new.php").status == 403  # type: ignore[union-attr]
        refused = send(context, "plan.dxf", floorplan.read_bytes())
        assert "not allowed to upload files" in refused.text()
        by_rest = context.request.post(
            "/?rest_route=/wp/v2/media",
            data=floorplan.read_bytes(),
            headers={"content-disposition": 'attachment; filename="plan.dxf"', "content-type": "image/vnd.dxf"},
        )
        assert by_rest.status in (400, 401, 403)
    assert kept(wordpress) == [job_of(wordpress, uploaded)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("shell.php.dxf", b"0\nSECTION\n", "is that of a script"),
        ("plan\u202efxd.dxf", b"0\nSECTION\n", "characters that hide or break something"),
        ("plan.dxf", b"<?php system('id');", "This file is no DXF, whatever its name says"),
        ("plan.svg", b"<html><script>alert(1)</script><svg>", "This file is no SVG"),
        ("plan.dwg", b"MZ\x90\x00", "This file is no DWG"),
        ("plan.dxf.php", b"0\nSECTION\n", "not allowed to upload this file type"),
        ("plan.html", b"<svg>", "not allowed to upload this file type"),
        (".htaccess", b"0\nSECTION\n", "not allowed to upload this file type"),
    ],
)
def test_given_a_hostile_name_or_type_when_uploaded_then_it_is_refused_in_a_sentence_and_nothing_is_kept(
    wordpress: WordPress, known: As, uploaded: int, name: str, content: bytes, said: str
) -> None:
    with known("ann") as context:
        assert said in send(context, name, content).text()
    assert kept(wordpress) == [job_of(wordpress, uploaded)]


def test_given_no_nonce_when_uploading_then_it_is_refused(known: As) -> None:
    with known("ann") as context:
        file: FilePayload = {"name": "plan.dxf", "mimeType": "image/vnd.dxf", "buffer": b"0\nSECTION\n"}
        answer = context.request.post("/wp-admin/async-upload.php", multipart={"short": "1", "async-upload": file})
        assert answer.status == 403


def test_given_a_post_that_shows_a_drawing_when_a_stranger_reads_it_then_its_layers_are_there_until_it_is_private(
    wordpress: WordPress, known: As, uploaded: int, shot: Shot
) -> None:
    def post(author: str, content: str, status: str = "publish") -> int:
        fields = f"['post_title' => 'A plan', 'post_content' => '{content}', 'post_status' => '{status}']"
        return int(wordpress.run(f"return wp_insert_post({fields});", author))

    shown = post("ann", f'[bulkhead_drawing id="{uploaded}" height="500"]')
    block = post("ann", f'<!-- wp:bulkhead/drawing {{"id":{uploaded}}} /-->')
    private = post("ann", f'[bulkhead_drawing id="{uploaded}"]', "private")
    borrowed = post("ben", f'[bulkhead_drawing id="{uploaded}"]')

    with known(None) as context:
        page = context.new_page()
        page.goto(f"/?p={shown}")
        viewer = page.frame_locator("iframe.bulkhead-drawing")
        expect(viewer.get_by_role("heading", name="Layers (5)")).to_be_visible(timeout=20_000)
        viewer.get_by_label("PIPES", exact=True).uncheck()
        expect(viewer.locator("header.bar")).to_be_hidden()
        page.wait_for_load_state("networkidle")
        shot(page, "wordpress-post")
        page.goto(f"/?p={block}")
        expect(page.frame_locator("iframe").get_by_role("heading", name="Layers (5)")).to_be_visible(timeout=20_000)

        for other in (private, borrowed):
            address = f"/wp-admin/admin-ajax.php?action=bulkhead_view&drawing={uploaded}&post={other}"
            assert context.request.get(address, max_redirects=0).status == 403
        original = f"/wp-admin/admin-ajax.php?action=bulkhead_original&drawing={uploaded}&post={shown}"
        assert context.request.get(original).status == 403
    assert complaints(wordpress) == []


def test_given_the_block_when_put_into_a_post_then_the_editor_shows_its_preview(
    known: As, uploaded: int, shot: Shot
) -> None:
    with known("ann") as context:
        page = context.new_page()
        page.goto("/wp-admin/post-new.php")
        page.wait_for_function("window.wp?.blocks?.getBlockType('bulkhead/drawing')")
        page.evaluate(INSERT, uploaded)
        page.wait_for_function("document.querySelector('img[src*=bulkhead_preview]')?.naturalWidth > 0")
        shot(page, "wordpress-editor")


def test_given_no_shared_disk_when_a_drawing_is_handed_over_then_it_goes_by_http(
    wordpress: WordPress, floorplan: Path
) -> None:
    front = wordpress.front
    code = f"""
        use Bulkhead\\WordPress\\Configuration;
        $values = ['BULKHEAD_URL' => '{front.url}', 'BULKHEAD_TOKEN' => '{front.token}'];
        $platform = new Bulkhead\\WordPress\\Platform(Configuration::from(fn ($name) => $values[$name] ?? null));
        $job = $platform->handOver('{floorplan}', 'plan.dxf', new Bulkhead\\RenderOptions(width: 64));
        $known = $platform->status($job, microtime(true))->job === $job;
        $platform->forget($job);
        return [$known, $platform->original($job)];
    """
    assert wordpress.run(code) == [True, None]


def test_given_a_broker_that_hangs_when_a_drawing_is_sent_then_a_sentence_says_what_to_do_and_the_operator_why(
    wordpress: WordPress, known: As, uploaded: int, session_broker: Broker
) -> None:
    with known("ann") as writer, known("boss") as operator:
        os.killpg(session_broker.process.pid, signal.SIGSTOP)
        try:
            told = send(writer, "plan.dxf", b"0\nSECTION\n2\nENTITIES\n").text()
            why = send(operator, "plan.dxf", b"0\nSECTION\n2\nENTITIES\n").text()
        finally:
            os.killpg(session_broker.process.pid, signal.SIGCONT)
    assert "Keep your file and send it again in a minute" in told
    assert "amqp" not in told
    assert "The drawing was not accepted. The broker cannot be reached" in why
    assert kept(wordpress) == [job_of(wordpress, uploaded)]


def test_given_the_settings_when_saved_then_what_is_sensible_is_kept_and_no_secret_is_on_the_page(
    wordpress: WordPress, known: As, shot: Shot
) -> None:
    with known("boss") as context:
        page = context.new_page()
        page.goto("/wp-admin/options-general.php?page=bulkhead")
        page.get_by_label("Width of the preview").fill("512")
        page.get_by_label("Background").select_option("dark")
        page.get_by_role("button", name="Save Changes").click()
        expect(page.get_by_label("Width of the preview")).to_have_value("512")
        page.get_by_role("link", name="Try the connection").click()
        expect(page.get_by_text("The platform answers, and knows this site.")).to_be_visible()
        shot(page, "wordpress-settings")
        content = page.content()
        assert wordpress.front.token not in content
        assert wordpress.front.platform.broker_url not in content
        forged: dict[str, str | float | bool] = {
            "option_page": "bulkhead",
            "action": "update",
            "bulkhead_settings[width]": "16",
        }
        assert context.request.post("/wp-admin/options.php", form=forged).status == 403
        unasked = context.request.get("/wp-admin/options-general.php?page=bulkhead&check=1&_wpnonce=forged")
        assert unasked.status == 403
    with known("ann") as context:
        assert context.request.get("/wp-admin/options-general.php?page=bulkhead").status == 403
    stored = wordpress.run("return get_option('bulkhead_settings');")
    assert stored == {"width": 512, "background": "dark", "height": 600, "delete_drawings": False}


def test_given_the_plugin_when_deleted_then_drawings_stay_unless_their_owner_chose_so(
    wordpress: WordPress, uploaded: int
) -> None:
    uninstall = "uninstall_plugin('bulkhead/bulkhead.php'); return get_option('bulkhead_settings');"
    job, front = job_of(wordpress, uploaded), wordpress.front

    def state() -> int:
        known = {"authorization": f"Bearer {front.token}"}
        return httpx.get(f"{front.platform.url}/renders/{job}", headers=known).status_code

    wordpress.run("deactivate_plugins('bulkhead/bulkhead.php'); return null;")
    assert wordpress.run(uninstall) is False
    assert (state(), kept(wordpress)) == (200, [job])

    wordpress.run("return update_option('bulkhead_settings', ['delete_drawings' => true]);")
    assert wordpress.run(uninstall) is False
    assert wordpress.run(f"return get_post({uploaded});") is None
    assert (state(), kept(wordpress)) == (404, [])
    assert complaints(wordpress) == []
