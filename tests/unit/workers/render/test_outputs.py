"""Checking the output directory of a render that may have been taken over by its drawing."""

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.renders import RenderOptions
from workers.render.sandboxed import outputs
from workers.render.sandboxed.outputs import InvalidOutput, check_outputs

WEBP = b"RIFF\x04\x00\x00\x00WEBPVP8 "
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
SHA256 = "0" * 64

MANIFEST: dict[str, Any] = {
    "version": 1,
    "engine": "test",
    "source": {"sha256": SHA256, "format": "dxf", "bytes": 1},
    "options": RenderOptions().model_dump(mode="json"),
    "preview": {"file": "preview.webp", "bytes": 16, "sha256": SHA256, "width": 9, "height": 9},
    "layers": [
        {
            "index": 0,
            "name": "PIPES",
            "colour": None,
            "visible": True,
            "empty": False,
            "file": "layers/000.webp",
            "bytes": 16,
            "sha256": SHA256,
        }
    ],
    "tiles": {
        "file": "tiles.dzi",
        "bytes": 1,
        "sha256": SHA256,
        "width": 9,
        "height": 9,
        "tile_size": 254,
        "levels": [],
    },
    "warnings": [],
}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The outputs of a render with one layer and one tile."""
    folder = tmp_path / "out"
    (folder / "layers").mkdir(parents=True)
    (folder / "tiles_files" / "0").mkdir(parents=True)
    for name in ("preview.webp", "layers/000.webp", "tiles_files/0/0_0.webp"):
        (folder / name).write_bytes(WEBP)
    (folder / "tiles.dzi").write_text("<Image/>")
    write_manifest(folder, MANIFEST)
    return folder


def write_manifest(out: Path, manifest: object) -> None:
    (out / "manifest.json").write_text(json.dumps(manifest))


def replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def replace_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(path.parent, os.O_RDONLY)  # the path of a socket has 107 bytes at most
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link_directory(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(folder.with_name("moved"))


def grow(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def test_given_the_outputs_of_a_render_then_they_pass_and_the_manifest_is_returned(out: Path) -> None:
    manifest = check_outputs(out)
    assert [layer.name for layer in manifest.layers] == ["PIPES"]


def test_given_pictures_as_png_then_they_pass(out: Path) -> None:
    (out / "preview.webp").rename(out / "preview.png")
    (out / "preview.png").write_bytes(PNG)
    write_manifest(out, {**MANIFEST, "preview": {**MANIFEST["preview"], "file": "preview.png"}})
    assert check_outputs(out).preview.file == "preview.png"


def test_given_equal_tiles_that_are_hard_links_then_they_pass(out: Path) -> None:
    (out / "tiles_files/0/0_1.webp").hardlink_to(out / "tiles_files/0/0_0.webp")
    check_outputs(out)


@pytest.mark.parametrize("name", ["preview.webp", "layers/000.webp", "manifest.json", "tiles.dzi"])
@pytest.mark.parametrize("attack", [replace_by_link, replace_by_fifo, replace_by_socket])
def test_given_a_file_that_is_none_then_it_is_refused_without_being_read(
    out: Path, name: str, attack: Callable[[Path], None]
) -> None:
    attack(out / name)
    with pytest.raises(InvalidOutput, match=f"'{name}', which is no (regular file|directory)"):
        check_outputs(out)


@pytest.mark.parametrize("name", ["preview.webp", "tiles.dzi", "manifest.json"])
def test_given_a_directory_with_the_name_of_a_file_then_it_is_refused(out: Path, name: str) -> None:
    replace_by_directory(out / name)
    with pytest.raises(InvalidOutput, match=f"'{name}', which is no directory of a render"):
        check_outputs(out)


@pytest.mark.parametrize("name", ["layers", "tiles_files", "tiles_files/0"])
def test_given_a_link_with_the_name_of_a_directory_then_it_is_refused(out: Path, name: str) -> None:
    link_directory(out / name)
    with pytest.raises(InvalidOutput, match="which is no directory of a render"):
        check_outputs(out)


@pytest.mark.parametrize(
    "name",
    [
        *("index.html", "preview.svg", "preview.webp.html", ".htaccess", "layers/000.html", "preview.webp\n"),
        *(
            "layers/0.webp",
            "layers/0000000.webp",
            "layers/-01.webp",
            "layers/\u0660\u0660\u0660.webp",
            "layers/deep/000.webp",
        ),
        *("tiles_files/0/0.webp", "tiles_files/000/0_0.webp", "tiles_files/0/0_0_0.webp", "layers/deep/000.webp"),
        *("other_files/0/0_0.webp",),
        *("layers/000_files/0/0_0.svg", "manifest.json~", "..webp", "layers/...webp", "tiles_files/0/\x1b[2J.webp"),
    ],
)
def test_given_a_name_that_no_render_writes_then_it_is_refused(out: Path, name: str) -> None:
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(WEBP)
    with pytest.raises(InvalidOutput, match="The render wrote '") as caught:
        check_outputs(out)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("preview.webp", b"<html><script>alert(1)</script>"),
        ("preview.webp", PNG),
        ("preview.webp", b"RIFF\x04\x00\x00\x00WAVE"),
        ("preview.webp", b""),
        ("layers/000.webp", b"\x7fELF" + bytes(100)),
        ("layers/001.png", WEBP),
        ("tiles_files/0/0_0.webp", b"RIFF"),
    ],
)
def test_given_a_picture_that_does_not_begin_like_one_then_it_is_refused(out: Path, name: str, content: bytes) -> None:
    (out / name).write_bytes(content)
    with pytest.raises(InvalidOutput, match=f"'{name}', which is no picture"):
        check_outputs(out)


@pytest.mark.parametrize(
    ("name", "size"),
    [("manifest.json", 1024**3), ("preview.webp", outputs.MAX_PICTURE_BYTES + 1), ("tiles.dzi", 5000)],
)
def test_given_a_file_over_its_maximum_size_then_it_is_refused_without_being_read(
    out: Path, name: str, size: int
) -> None:
    grow(out / name, size)
    with pytest.raises(InvalidOutput, match=f"'{name}' with {size:,} bytes, which is too large"):
        check_outputs(out)


@pytest.mark.parametrize("bit", [stat.S_ISUID, stat.S_ISGID])
def test_given_a_set_user_id_file_then_it_is_refused(out: Path, bit: int) -> None:
    (out / "preview.webp").chmod(0o755 | bit)
    with pytest.raises(InvalidOutput, match="set-user-ID"):
        check_outputs(out)


def test_given_more_files_than_a_render_writes_then_they_are_refused(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "MAX_FILES", 5)
    check_outputs(out)
    (out / "layers/001.webp").write_bytes(WEBP)
    with pytest.raises(InvalidOutput, match="more than 5 files"):
        check_outputs(out)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps({**MANIFEST, "unknown": 1}),
        json.dumps({**MANIFEST, "version": 2}),
        "[" * 100_000,
    ],
)
def test_given_a_manifest_that_does_not_match_its_schema_then_it_is_refused(out: Path, text: str) -> None:
    (out / "manifest.json").write_text(text)
    with pytest.raises(InvalidOutput, match="manifest is invalid"):
        check_outputs(out)


def test_given_a_manifest_that_is_no_utf_8_then_it_is_refused(out: Path) -> None:
    (out / "manifest.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidOutput, match="manifest is invalid"):
        check_outputs(out)


def test_given_no_manifest_then_the_outputs_are_refused(out: Path) -> None:
    (out / "manifest.json").unlink()
    with pytest.raises(InvalidOutput, match="wrote no manifest"):
        check_outputs(out)


@pytest.mark.parametrize("name", ["layers/007.webp", "../../secret.webp", "/etc/passwd", "layers"])
def test_given_a_manifest_that_names_a_file_of_no_render_then_it_is_refused(out: Path, name: str) -> None:
    layer = {**MANIFEST["layers"][0], "file": name}
    write_manifest(out, {**MANIFEST, "layers": [layer]})
    with pytest.raises(InvalidOutput, match=f"names '{name}', which does not exist"):
        check_outputs(out)


def test_given_refused_outputs_then_the_error_is_the_job_s_and_no_descriptor_stays_open(out: Path) -> None:
    replace_by_fifo(out / "preview.webp")
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a directory of numbers
    with pytest.raises(InvalidOutput) as caught:
        check_outputs(out)
    assert caught.value.code == "invalid-output"
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
