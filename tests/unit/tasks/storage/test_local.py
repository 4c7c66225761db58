"""The local store's own promises: no way out, no litter, clear words."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.storage import NotFound, StoreError, StoreFull, open_store
from tasks.storage.local import LocalStore

MIB = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    return outside


@pytest.fixture
def files_of_one_mebibyte() -> Iterator[None]:
    """A disk that is full after 1 MiB: the kernel refuses to let a file grow beyond."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def temporary(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "store" / ".tmp").iterdir())


def test_given_a_link_to_a_file_outside_when_read_then_it_is_not_found(
    store: LocalStore, secret: Path, tmp_path: Path
) -> None:
    (tmp_path / "store" / "sources").mkdir()
    (tmp_path / "store" / "sources" / "link").symlink_to(secret / "secret")

    with pytest.raises(NotFound):
        store.open_read("sources/link")
    with pytest.raises(NotFound):
        store.as_file("sources/link").__enter__()


def test_given_a_link_to_a_directory_outside_when_used_then_nothing_there_is_read_written_listed_or_removed(
    store: LocalStore, secret: Path, tmp_path: Path
) -> None:
    (tmp_path / "store" / "sources").symlink_to(secret)

    with pytest.raises(NotFound):
        store.open_read("sources/secret")
    with pytest.raises(StoreError):
        store.put("sources/new", b"x")
    store.delete("sources/secret")
    assert list(store.list("sources")) == []
    assert sorted(secret.iterdir()) == [secret / "secret"]
    assert temporary(tmp_path) == []


def test_given_a_linked_tree_when_deleted_then_only_the_link_goes(
    store: LocalStore, secret: Path, tmp_path: Path
) -> None:
    (tmp_path / "store" / "artifacts").mkdir()
    (tmp_path / "store" / "artifacts" / "k").symlink_to(secret)

    store.delete_tree("artifacts/k")

    assert (secret / "secret").exists()
    assert not (tmp_path / "store" / "artifacts" / "k").is_symlink()
    assert temporary(tmp_path) == []


@pytest.mark.usefixtures("files_of_one_mebibyte")
def test_given_a_full_disk_when_written_then_store_full_says_what_to_do_and_nothing_is_left(
    store: LocalStore, tmp_path: Path
) -> None:
    writer = store.writer("sources/acme/1")
    with pytest.raises(StoreFull, match="no space left: remove finished jobs or enlarge its disk"):
        writer.write(bytes(3 * MIB))

    assert temporary(tmp_path) == []
    assert not store.exists("sources/acme/1")


def test_given_a_tree_in_another_file_system_when_published_then_it_is_copied_whole(
    store: LocalStore, tmp_path: Path
) -> None:
    elsewhere = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        if elsewhere.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("/dev/shm and the temporary directory are one file system")
        (elsewhere / "layers").mkdir()
        (elsewhere / "layers" / "000.webp").write_bytes(b"layer")
        (elsewhere / "manifest.json").write_bytes(b"{}")

        assert store.publish_tree(elsewhere, "artifacts/acme/k")

        assert sorted(store.list("artifacts/acme/k")) == [
            "artifacts/acme/k/layers/000.webp",
            "artifacts/acme/k/manifest.json",
        ]
        assert not elsewhere.exists()
        assert temporary(tmp_path) == []
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)


def test_given_litter_of_killed_writers_when_swept_then_only_what_is_old_goes(
    store: LocalStore, tmp_path: Path
) -> None:
    with store.writer("sources/acme/1") as young:
        young.write(b"x")
        (tmp_path / "store" / ".tmp" / "writing-old").write_bytes(b"x")
        (tmp_path / "store" / ".tmp" / "old-tree").mkdir()
        long_ago = time.time() - 100_000
        for name in ("writing-old", "old-tree"):
            os.utime(tmp_path / "store" / ".tmp" / name, (long_ago, long_ago))

        assert store.remove_abandoned(older_than=86_400) == 2
        assert temporary(tmp_path) == [young.path]


def test_given_a_directory_that_cannot_be_made_when_opened_then_the_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="set BULKHEAD_STORE_URL to a directory that this user may write"):
        open_store(str(tmp_path / "file" / "store"))


def test_given_a_file_url_when_opened_then_it_is_that_directory(tmp_path: Path) -> None:
    open_store(f"file://{tmp_path}/a%20store").put("sources/acme/1", b"x")
    assert (tmp_path / "a store" / "sources" / "acme" / "1").read_bytes() == b"x"


def test_given_a_store_whose_directory_vanished_when_checked_then_it_says_so(store: LocalStore, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(StoreError):
        store.check()


def test_given_an_unknown_scheme_when_opened_then_the_setting_is_named() -> None:
    with pytest.raises(StoreError, match="no store of kind 'ftp': set BULKHEAD_STORE_URL to a directory or s3://"):
        open_store("ftp://host/path")


def test_given_no_obstore_when_an_s3_store_is_opened_then_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(StoreError, match=r"install it with `pip install 'bulkhead\[s3\]'`"):
        open_store("s3://bucket/prefix")


def test_given_a_bucket_that_cannot_be_reached_when_used_then_the_variables_to_check_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody")
    with pytest.raises(StoreError, match="Check the bucket, AWS_ENDPOINT_URL, AWS_REGION and the credentials"):
        open_store("s3://bucket").check()


def test_given_a_disk_without_room_for_another_directory_then_a_tree_is_removed_all_the_same(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("artifacts/acme/one/manifest.json", b"{}")

    def full(*_args: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "mkdir", full)
    store.delete_tree("artifacts/acme/one")

    assert not list(store.list("artifacts"))
    assert not temporary(tmp_path)
