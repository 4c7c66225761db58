"""The local store: no symbolic link leads out, no temporary file remains, errors say what to do."""

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

from tasks.storage import ObjectNotFound, StoreError, StoreFull, open_store
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
    """A full disk: the kernel limits files to 1 MiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def temporary_files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "store" / ".tmp").iterdir())


def test_given_a_link_to_a_file_outside_when_it_is_read_then_it_is_not_found(
    store: LocalStore, secret: Path, tmp_path: Path
) -> None:
    (tmp_path / "store" / "sources").mkdir()
    (tmp_path / "store" / "sources" / "link").symlink_to(secret / "secret")

    with pytest.raises(ObjectNotFound):
        store.open_read("sources/link")
    with pytest.raises(ObjectNotFound):
        store.as_file("sources/link").__enter__()


def test_given_a_link_to_a_directory_outside_then_nothing_there_is_read_written_listed_or_removed(
    store: LocalStore, secret: Path, tmp_path: Path
) -> None:
    (tmp_path / "store" / "sources").symlink_to(secret)

    with pytest.raises(ObjectNotFound):
        store.open_read("sources/secret")
    with pytest.raises(StoreError):
        store.put("sources/new", b"x")
    store.delete("sources/secret")
    assert list(store.list("sources")) == []
    assert sorted(secret.iterdir()) == [secret / "secret"]
    assert temporary_files(tmp_path) == []


def test_given_a_linked_tree_when_it_is_deleted_then_only_the_link_is_removed(
    store: LocalStore, secret: Path, tmp_path: Path
) -> None:
    (tmp_path / "store" / "artifacts").mkdir()
    (tmp_path / "store" / "artifacts" / "k").symlink_to(secret)

    store.delete_tree("artifacts/k")

    assert (secret / "secret").exists()
    assert not (tmp_path / "store" / "artifacts" / "k").is_symlink()
    assert temporary_files(tmp_path) == []


@pytest.mark.usefixtures("files_of_one_mebibyte")
def test_given_a_full_disk_when_an_object_is_written_then_the_error_says_what_to_do_and_nothing_remains(
    store: LocalStore, tmp_path: Path
) -> None:
    writer = store.writer("sources/acme/1")
    with pytest.raises(StoreFull, match="no space left: remove finished jobs or enlarge its disk"):
        writer.write(bytes(3 * MIB))

    assert temporary_files(tmp_path) == []
    assert not store.exists("sources/acme/1")


def test_given_a_tree_in_another_file_system_when_it_is_published_then_it_is_copied(
    store: LocalStore, tmp_path: Path
) -> None:
    other_disk = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        if other_disk.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("/dev/shm and the temporary directory are one file system")
        (other_disk / "layers").mkdir()
        (other_disk / "layers" / "000.webp").write_bytes(b"layer")
        (other_disk / "manifest.json").write_bytes(b"{}")

        assert store.publish_tree(other_disk, "artifacts/acme/k")

        assert sorted(store.list("artifacts/acme/k")) == [
            "artifacts/acme/k/layers/000.webp",
            "artifacts/acme/k/manifest.json",
        ]
        assert not other_disk.exists()
        assert temporary_files(tmp_path) == []
    finally:
        shutil.rmtree(other_disk, ignore_errors=True)


def test_given_files_of_killed_writers_then_only_old_ones_are_removed(store: LocalStore, tmp_path: Path) -> None:
    with store.writer("sources/acme/1") as young:
        young.write(b"x")
        (tmp_path / "store" / ".tmp" / "writing-old").write_bytes(b"x")
        (tmp_path / "store" / ".tmp" / "old-tree").mkdir()
        long_ago = time.time() - 100_000
        for name in ("writing-old", "old-tree"):
            os.utime(tmp_path / "store" / ".tmp" / name, (long_ago, long_ago))

        assert store.remove_abandoned(older_than=86_400) == 2
        assert temporary_files(tmp_path) == [young.path]


def test_given_a_directory_that_cannot_be_created_then_the_error_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="set BULKHEAD_STORE_URL to a directory that this user can write to"):
        open_store(str(tmp_path / "file" / "store"))


def test_a_file_url_opens_its_directory(tmp_path: Path) -> None:
    open_store(f"file://{tmp_path}/a%20store").put("sources/acme/1", b"x")
    assert (tmp_path / "a store" / "sources" / "acme" / "1").read_bytes() == b"x"


def test_given_a_removed_directory_then_the_check_fails(store: LocalStore, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(StoreError):
        store.check()


def test_given_an_unknown_scheme_then_the_error_names_the_setting() -> None:
    with pytest.raises(StoreError, match="'ftp' is not a supported kind of store: set BULKHEAD_STORE_URL"):
        open_store("ftp://host/path")


def test_given_no_obstore_then_opening_an_s3_store_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(StoreError, match=r"install it with `pip install 'bulkhead\[s3\]'`"):
        open_store("s3://bucket/prefix")


def test_given_an_unreachable_bucket_then_the_error_names_the_variables_to_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody")
    with pytest.raises(StoreError, match="Check the bucket, AWS_ENDPOINT_URL, AWS_REGION and the credentials"):
        open_store("s3://bucket").check()


def test_given_a_disk_without_room_for_another_directory_then_a_tree_can_still_be_removed(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("artifacts/acme/one/manifest.json", b"{}")

    def full(*_args: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "mkdir", full)
    store.delete_tree("artifacts/acme/one")

    assert not list(store.list("artifacts"))
    assert not temporary_files(tmp_path)


def test_given_the_umask_of_a_group_then_its_members_can_read_and_remove_what_is_stored(tmp_path: Path) -> None:
    before = os.umask(0o007)
    try:
        store = LocalStore(tmp_path / "store")
        store.put("sources/acme/one", b"drawing")
        outputs = Path(tempfile.mkdtemp(dir=tmp_path))
        (outputs / "layers").mkdir(mode=0o700)
        (outputs / "layers/000.webp").write_bytes(b"layer")
        (outputs / "layers/000.webp").chmod(0o600)
        assert store.publish_tree(outputs, "artifacts/acme/two")
    finally:
        os.umask(before)

    paths = list((tmp_path / "store").rglob("*"))
    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_dir()} == {"0o770"}
    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_file()} == {"0o660"}
