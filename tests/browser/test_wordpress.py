"""The WordPress plugin behind the edge: uploads, previews, posts, permissions and settings."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import APIResponse, BrowserContext, FilePayload, expect

from tests.browser.conftest import Screenshot, SignIn
from tests.conftest import Broker
from tests.services.edge.portal_site import TENANT
from tests.services.edge.wordpress import WordPress

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

INSERT = """(id) => {
  const block = wp.blocks.createBlock("bulkhead/drawing", { id });
  wp.data.dispatch("core/block-editor").insertBlock(block);
}"""


def send(context: BrowserContext, name: str, content: bytes) -> APIResponse:
    """Upload a file as the page does, with its nonce."""
    page = context.request.get("/wp-admin/media-new.php").text()
    nonce = re.search(r'name="_wpnonce" value="(\w+)"', page)
    fields = {"_wpnonce": nonce[1] if nonce else "", "short": "1", "name": name}
    file: FilePayload = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    return context.request.post("/wp-admin/async-upload.php", multipart={**fields, "async-upload": file})


def stored_files(wordpress: WordPress) -> list[str]:
    """Names of all drawings in the store and of all files in the public uploads folder."""
    folders = (wordpress.site.platform.store / "sources", wordpress.uploads)
    return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())


def job_of(wordpress: WordPress, drawing: int) -> str:
    return str(wordpress.run_code(f"return get_post_meta({drawing}, '_bulkhead_job', true);"))


def php_messages(wordpress: WordPress) -> list[str]:
    """PHP messages about the plugin, except those about the files that are missing on purpose."""
    lines = wordpress.log.read_text().splitlines()
    return [line for line in lines if "bulkhead/" in line and "getimagesize(" not in line]


def test_given_a_fresh_site_when_a_drawing_is_uploaded_then_its_preview_is_shown_and_wordpress_stores_no_file(
    wordpress: WordPress, browser_of: SignIn, uploaded: int, floorplan: Path, screenshot: Screenshot
) -> None:
    job = job_of(wordpress, uploaded)
    assert stored_files(wordpress) == [job]
    source = wordpress.site.platform.store / "sources" / TENANT / job
    assert source.read_bytes() == floorplan.read_bytes()

    with browser_of("ann") as context:
        page = context.new_page()
        page.goto(f"/wp-admin/post.php?post={uploaded}&action=edit")
        page.wait_for_function("document.querySelector('.wp_attachment_image img').naturalWidth == 2048")
        expect(page.get_by_role("button", name="Edit Image")).to_have_count(0)
        screenshot(page, "wordpress-attachment")
        answer = context.request.get(
            f"/wp-admin/admin-ajax.php?action=bulkhead_preview&drawing={uploaded}", max_redirects=0
        )
        signed = rf"^{wordpress.site.url}/renders/{job}/preview\.webp\?expires=\d+&signature=[0-9a-f]{{32}}$"
        assert answer.status == 302
        assert re.match(signed, answer.headers["location"])
        original = context.request.get(f"/wp-admin/admin-ajax.php?action=bulkhead_original&drawing={uploaded}")
        assert original.body() == floorplan.read_bytes()
        assert original.headers["content-disposition"] == "attachment; filename*=UTF-8''floorplan.dxf"
        page.goto("/wp-admin/upload.php?mode=grid")
        page.wait_for_function("document.querySelector('.attachment img')?.naturalWidth > 0")
        screenshot(page, "wordpress-library")
    assert php_messages(wordpress) == []


def test_given_a_queued_drawing_then_its_page_shows_the_progress_and_the_preview_and_deleting_removes_everything(
    wordpress: WordPress, browser_of: SignIn, uploaded: int, floorplan: Path
) -> None:
    worker = wordpress.site.platform.process("render1")
    with browser_of("ann") as context:
        page = context.new_page()
        os.killpg(worker.pid, signal.SIGSTOP)
        try:
            drawing = int(send(context, "Süd 2.dxf", floorplan.read_bytes()).text())
            page.goto(f"/wp-admin/post.php?post={drawing}&action=edit")
            expect(page.locator("progress")).to_be_visible()
            expect(page.locator(".bulkhead-progress")).to_have_text("queued")
        finally:
            os.killpg(worker.pid, signal.SIGCONT)
        expect(page.locator(".wp_attachment_image img")).to_be_visible(timeout=30_000)
        expect(page.locator("progress")).to_have_count(0)
    assert len(stored_files(wordpress)) == 2
    wordpress.run_code(f"return wp_delete_attachment({drawing}, true)->ID;")
    assert stored_files(wordpress) == [job_of(wordpress, uploaded)]


def test_given_a_drawing_that_cannot_be_rendered_then_its_page_says_why(
    wordpress: WordPress, browser_of: SignIn
) -> None:
    with browser_of("ann") as context:
        drawing = int(send(context, "torn.pdf", b"%PDF-1.7 and nothing more").text())
        page = context.new_page()
        page.goto(f"/wp-admin/post.php?post={drawing}&action=edit")
        expect(page.locator(".bulkhead-progress")).to_contain_text("PDF", timeout=30_000)
        page.goto(f"/wp-admin/admin-ajax.php?action=bulkhead_view&drawing={drawing}")
        expect(page.locator("p")).to_contain_text("PDF")
    wordpress.run_code(f"return wp_delete_attachment({drawing}, true)->ID;")


def test_given_a_drawing_uploaded_over_rest_then_it_is_created_without_a_public_file(
    wordpress: WordPress, browser_of: SignIn, uploaded: int
) -> None:
    with browser_of("ann") as context:
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
    assert stored_files(wordpress) == sorted([job_of(wordpress, uploaded), job_of(wordpress, drawing["id"])])
    wordpress.run_code(f"return wp_delete_attachment({drawing['id']}, true)->ID;")


@pytest.mark.parametrize("user", ["sue", "ben", None])
def test_given_a_user_without_permission_then_file_preview_view_and_status_are_denied(
    wordpress: WordPress, browser_of: SignIn, uploaded: int, user: str | None
) -> None:
    with browser_of(user) as context:
        for action in ("preview", "view", "original"):
            url = f"/wp-admin/admin-ajax.php?action=bulkhead_{action}&drawing={uploaded}"
            assert context.request.get(url, max_redirects=0).status == 403, action
            assert context.request.get(f"{url}&post=1", max_redirects=0).status == 403, action
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


def test_given_a_subscriber_when_uploading_then_the_upload_is_rejected_and_nothing_is_stored(
    wordpress: WordPress, browser_of: SignIn, uploaded: int, floorplan: Path
) -> None:
    with browser_of("sue") as context:
        assert context.new_page().goto("/wp-admin/media-new.php").status == 403  # type: ignore[union-attr]
        rejected = send(context, "plan.dxf", floorplan.read_bytes())
        assert "not allowed to upload files" in rejected.text()
        by_rest = context.request.post(
            "/?rest_route=/wp/v2/media",
            data=floorplan.read_bytes(),
            headers={"content-disposition": 'attachment; filename="plan.dxf"', "content-type": "image/vnd.dxf"},
        )
        assert by_rest.status in (400, 401, 403)
    assert stored_files(wordpress) == [job_of(wordpress, uploaded)]


@pytest.mark.parametrize(
    ("name", "content", "message_part"),
    [
        ("shell.php.dxf", b"0\nSECTION\n", "contains the extension of a script"),
        ("plan\u202efxd.dxf", b"0\nSECTION\n", "contains invalid characters"),
        ("plan.dxf", b"<?php system('id');", "The content of this file is not DXF"),
        ("plan.svg", b"<html><script>alert(1)</script><svg>", "The content of this file is not SVG"),
        ("plan.dwg", b"MZ\x90\x00", "The content of this file is not DWG"),
        ("plan.dxf.php", b"0\nSECTION\n", "not allowed to upload this file type"),
        ("plan.html", b"<svg>", "not allowed to upload this file type"),
        (".htaccess", b"0\nSECTION\n", "not allowed to upload this file type"),
    ],
)
def test_given_a_malicious_name_or_type_when_uploaded_then_it_is_rejected_with_a_reason_and_nothing_is_stored(
    wordpress: WordPress, browser_of: SignIn, uploaded: int, name: str, content: bytes, message_part: str
) -> None:
    with browser_of("ann") as context:
        assert message_part in send(context, name, content).text()
    assert stored_files(wordpress) == [job_of(wordpress, uploaded)]


def test_given_no_nonce_when_uploading_then_the_upload_is_rejected(browser_of: SignIn) -> None:
    with browser_of("ann") as context:
        file: FilePayload = {"name": "plan.dxf", "mimeType": "image/vnd.dxf", "buffer": b"0\nSECTION\n"}
        answer = context.request.post("/wp-admin/async-upload.php", multipart={"short": "1", "async-upload": file})
        assert answer.status == 403


def test_given_a_post_with_a_drawing_when_a_visitor_reads_it_then_layers_are_shown_unless_the_post_is_private(
    wordpress: WordPress, browser_of: SignIn, uploaded: int, screenshot: Screenshot
) -> None:
    def post(author: str, content: str, status: str = "publish") -> int:
        fields = f"['post_title' => 'A plan', 'post_content' => '{content}', 'post_status' => '{status}']"
        return int(wordpress.run_code(f"return wp_insert_post({fields});", author))

    shown = post("ann", f'[bulkhead_drawing id="{uploaded}" height="500"]')
    block = post("ann", f'<!-- wp:bulkhead/drawing {{"id":{uploaded}}} /-->')
    private = post("ann", f'[bulkhead_drawing id="{uploaded}"]', "private")
    borrowed = post("ben", f'[bulkhead_drawing id="{uploaded}"]')

    with browser_of(None) as context:
        page = context.new_page()
        page.goto(f"/?p={shown}")
        viewer = page.frame_locator("iframe.bulkhead-drawing")
        expect(viewer.get_by_role("heading", name="Layers (5)")).to_be_visible(timeout=20_000)
        viewer.get_by_label("PIPES", exact=True).uncheck()
        expect(viewer.locator("header.bar")).to_be_hidden()
        page.wait_for_load_state("networkidle")
        screenshot(page, "wordpress-post")
        page.goto(f"/?p={block}")
        expect(page.frame_locator("iframe").get_by_role("heading", name="Layers (5)")).to_be_visible(timeout=20_000)

        for other in (private, borrowed):
            url = f"/wp-admin/admin-ajax.php?action=bulkhead_view&drawing={uploaded}&post={other}"
            assert context.request.get(url, max_redirects=0).status == 403
        original = f"/wp-admin/admin-ajax.php?action=bulkhead_original&drawing={uploaded}&post={shown}"
        assert context.request.get(original).status == 403
    assert php_messages(wordpress) == []


def test_given_the_block_when_inserted_into_a_post_then_the_editor_shows_its_preview(
    browser_of: SignIn, uploaded: int, screenshot: Screenshot
) -> None:
    with browser_of("ann") as context:
        page = context.new_page()
        page.goto("/wp-admin/post-new.php")
        page.wait_for_function("window.wp?.blocks?.getBlockType('bulkhead/drawing')")
        page.evaluate(INSERT, uploaded)
        page.wait_for_function("document.querySelector('img[src*=bulkhead_preview]')?.naturalWidth > 0")
        screenshot(page, "wordpress-editor")


def test_given_no_shared_disk_when_a_drawing_is_submitted_then_it_is_uploaded_over_http(
    wordpress: WordPress, floorplan: Path
) -> None:
    portal = wordpress.site
    code = f"""
        use Bulkhead\\WordPress\\Configuration;
        $values = ['BULKHEAD_URL' => '{portal.url}', 'BULKHEAD_TOKEN' => '{portal.token}'];
        $platform = new Bulkhead\\WordPress\\PlatformClient(Configuration::from(fn ($name) => $values[$name] ?? null));
        $job = $platform->submit('{floorplan}', 'plan.dxf', new Bulkhead\\RenderOptions(width: 64));
        $known = $platform->status($job, microtime(true))->job === $job;
        $platform->delete($job);
        return [$known, $platform->originalPath($job)];
    """
    assert wordpress.run_code(code) == [True, None]


def test_given_an_unresponsive_broker_when_a_drawing_is_uploaded_then_users_see_what_to_do_and_administrators_why(
    wordpress: WordPress, browser_of: SignIn, uploaded: int, session_broker: Broker
) -> None:
    with browser_of("ann") as writer, browser_of("boss") as administrator:
        os.killpg(session_broker.process.pid, signal.SIGSTOP)
        try:
            message = send(writer, "plan.dxf", b"0\nSECTION\n2\nENTITIES\n").text()
            reason = send(administrator, "plan.dxf", b"0\nSECTION\n2\nENTITIES\n").text()
        finally:
            os.killpg(session_broker.process.pid, signal.SIGCONT)
    assert "Upload it again in a minute" in message
    assert "amqp" not in message
    assert "The drawing was not accepted. The broker is unreachable" in reason
    assert stored_files(wordpress) == [job_of(wordpress, uploaded)]


def test_given_the_settings_when_saved_then_valid_values_are_stored_and_the_page_contains_no_secret(
    wordpress: WordPress, browser_of: SignIn, screenshot: Screenshot
) -> None:
    with browser_of("boss") as context:
        page = context.new_page()
        page.goto("/wp-admin/options-general.php?page=bulkhead")
        page.get_by_label("Width of the preview").fill("512")
        page.get_by_label("Background").select_option("dark")
        page.get_by_role("button", name="Save Changes").click()
        expect(page.get_by_label("Width of the preview")).to_have_value("512")
        page.get_by_role("link", name="Test connection").click()
        expect(page.get_by_text("Connected: the platform accepts the token of this site.")).to_be_visible()
        screenshot(page, "wordpress-settings")
        content = page.content()
        assert wordpress.site.token not in content
        assert wordpress.site.platform.broker_url not in content
        forged: dict[str, str | float | bool] = {
            "option_page": "bulkhead",
            "action": "update",
            "bulkhead_settings[width]": "16",
        }
        assert context.request.post("/wp-admin/options.php", form=forged).status == 403
        unverified = context.request.get("/wp-admin/options-general.php?page=bulkhead&test=1&_wpnonce=forged")
        assert unverified.status == 403
    with browser_of("ann") as context:
        assert context.request.get("/wp-admin/options-general.php?page=bulkhead").status == 403
    stored = wordpress.run_code("return get_option('bulkhead_settings');")
    assert stored == {"width": 512, "background": "dark", "height": 600, "delete_drawings": False}


def test_given_the_plugin_when_deleted_then_drawings_stay_unless_the_settings_say_otherwise(
    wordpress: WordPress, uploaded: int
) -> None:
    uninstall = "uninstall_plugin('bulkhead/bulkhead.php'); return get_option('bulkhead_settings');"
    job, portal = job_of(wordpress, uploaded), wordpress.site

    def state() -> int:
        headers = {"authorization": f"Bearer {portal.token}"}
        return httpx.get(f"{portal.platform.url}/renders/{job}", headers=headers).status_code

    wordpress.run_code("deactivate_plugins('bulkhead/bulkhead.php'); return null;")
    assert wordpress.run_code(uninstall) is False
    assert (state(), stored_files(wordpress)) == (200, [job])

    wordpress.run_code("return update_option('bulkhead_settings', ['delete_drawings' => true]);")
    assert wordpress.run_code(uninstall) is False
    assert wordpress.run_code(f"return get_post({uploaded});") is None
    assert (state(), stored_files(wordpress)) == (404, [])
    assert php_messages(wordpress) == []
