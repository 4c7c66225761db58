"""The contract of a store, for both kinds: a local directory, and S3 (a moto server over HTTP)."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer

from tasks.storage import InvalidKey, ObjectNotFound, Store, open_store

MIB = 1 << 20


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_endpoint,
    }.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]}"
    httpx.put(f"{s3_endpoint}/{name}").raise_for_status()
    return name


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of temporary files, so that a test can see which of them remain."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, scratch: Path) -> Iterator[Store]:  # noqa: ARG001
    if request.param == "local":
        yield open_store(str(tmp_path / "store"))
    else:
        yield open_store(f"s3://{request.getfixturevalue('bucket')}/some/prefix")


def temporary_files(tmp_path: Path) -> list[Path]:
    """Temporary files of either kind of store that remain."""
    return [*(tmp_path / "scratch").rglob("*"), *(tmp_path / "store").glob(".tmp/*")]


def tree(directory: Path, manifest: bytes = b"{}") -> Path:
    (directory / "layers").mkdir(parents=True)
    (directory / "manifest.json").write_bytes(manifest)
    (directory / "preview.webp").write_bytes(b"preview")
    (directory / "layers" / "000.webp").write_bytes(b"layer")
    return directory


def test_given_a_writer_when_its_block_ends_then_the_object_exists_with_its_digest_and_size(store: Store) -> None:
    with store.writer("sources/acme/1") as writer:
        writer.write(b"pump ")
        writer.write(memoryview(b"station"))
        assert not store.exists("sources/acme/1")

    assert (writer.digest, writer.size) == (hashlib.sha256(b"pump station").hexdigest(), 12)
    assert store.exists("sources/acme/1")
    assert store.size("sources/acme/1") == 12
    with store.open_read("sources/acme/1") as source:
        assert (source.read(4), source.read()) == (b"pump", b" station")


def test_the_path_of_a_writer_contains_everything_written_so_far(store: Store) -> None:
    writer = store.writer("sources/acme/1")
    writer.write(b"a header")
    assert writer.path.read_bytes() == b"a header"
    writer.discard()


def test_given_a_writer_when_its_block_raises_then_no_object_and_no_file_remains(store: Store, tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with store.writer("sources/acme/1") as writer:
            writer.write(b"half of it")
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        fail_half_way()

    assert not store.exists("sources/acme/1")
    assert temporary_files(tmp_path) == []


def test_given_a_committed_writer_when_it_is_discarded_then_the_object_remains(store: Store, tmp_path: Path) -> None:
    writer = store.writer("sources/acme/1")
    writer.write(b"stored")
    writer.commit()
    writer.discard()

    assert store.exists("sources/acme/1")
    assert temporary_files(tmp_path) == []


def test_an_object_that_is_put_again_is_replaced(store: Store) -> None:
    store.put("sources/acme/1", b"old")
    assert store.put("sources/acme/1", io.BytesIO(b"new")) == hashlib.sha256(b"new").hexdigest()

    with store.open_read("sources/acme/1") as source:
        assert source.read() == b"new"


def test_a_large_object_written_in_pieces_is_read_back_unchanged(store: Store, tmp_path: Path) -> None:
    piece = bytes(range(256)) * (MIB // 256)
    with store.writer("sources/acme/large") as writer:
        for _ in range(13):
            writer.write(piece)

    store.fetch("sources/acme/large", tmp_path / "copy")
    with store.as_file("sources/acme/large") as path:
        assert path.read_bytes() == (tmp_path / "copy").read_bytes() == piece * 13
    assert temporary_files(tmp_path) == []


def test_given_no_object_then_every_read_raises_not_found_with_the_key(store: Store, tmp_path: Path) -> None:
    for read in (
        lambda: store.open_read("sources/acme/none"),
        lambda: store.size("sources/acme/none"),
        lambda: store.fetch("sources/acme/none", tmp_path / "copy"),
        lambda: store.as_file("sources/acme/none").__enter__(),
    ):
        with pytest.raises(ObjectNotFound, match="The store has no object 'sources/acme/none'"):
            read()
    assert not store.exists("sources/acme/none")


def test_a_prefix_is_not_an_object(store: Store) -> None:
    store.put("sources/acme/1", b"x")
    assert not store.exists("sources/acme")
    with pytest.raises(ObjectNotFound):
        store.open_read("sources/acme")


@pytest.mark.parametrize(
    "key",
    [
        *("", "/etc/passwd", "../secret", "a/../b", "a/./b", "a//b", "a/", ".tmp/x", "a/.hidden", "C:/x"),
        *("a b", "a\0b", "a\n", "ä", "a\\b", "a/%2e%2e/b", "a/" * 300 + "b"),
    ],
)
def test_a_key_that_could_lead_out_of_the_store_is_rejected_with_advice(store: Store, key: str, tmp_path: Path) -> None:
    uses: list[Callable[[str], object]] = [
        store.open_read,
        store.writer,
        store.size,
        store.exists,
        store.delete,
        store.delete_tree,
        lambda key: list(store.list(key)),
        lambda key: store.publish_tree(tmp_path / "none", key),
    ]
    for use in uses:
        with pytest.raises(InvalidKey, match="use parts of letters, digits"):
            use(key)


def test_a_list_contains_only_the_objects_below_the_prefix(store: Store) -> None:
    for key in ["sources/acme/b", "sources/acme/a/2", "sources/acme/a/1", "sources/acmeother/c"]:
        store.put(key, b"x")

    assert sorted(store.list("sources/acme")) == ["sources/acme/a/1", "sources/acme/a/2", "sources/acme/b"]
    assert list(store.list("sources/nobody")) == []


def test_deleting_an_object_twice_raises_no_error(store: Store) -> None:
    store.put("sources/acme/1", b"x")
    store.delete("sources/acme/1")
    store.delete("sources/acme/1")
    assert not store.exists("sources/acme/1")


def test_given_a_tree_when_it_is_published_then_all_objects_exist_and_the_directory_is_gone(
    store: Store, tmp_path: Path
) -> None:
    made = tree(tmp_path / "made")

    assert store.publish_tree(made, "artifacts/acme/k") is True

    assert sorted(store.list("artifacts/acme/k")) == [
        "artifacts/acme/k/layers/000.webp",
        "artifacts/acme/k/manifest.json",
        "artifacts/acme/k/preview.webp",
    ]
    assert not made.exists()


def test_given_a_published_tree_when_another_is_published_then_the_first_one_remains(
    store: Store, tmp_path: Path
) -> None:
    store.publish_tree(tree(tmp_path / "first", b"1"), "artifacts/acme/k")

    assert store.publish_tree(tree(tmp_path / "second", b"2"), "artifacts/acme/k") is False

    with store.open_read("artifacts/acme/k/manifest.json") as manifest:
        assert manifest.read() == b"1"
    assert not (tmp_path / "second").exists()
    assert temporary_files(tmp_path) == []


def test_given_8_publishers_of_one_tree_then_one_complete_tree_exists(store: Store, tmp_path: Path) -> None:
    trees = [tree(tmp_path / f"made-{number}") for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        firsts = list(pool.map(lambda made: store.publish_tree(made, "artifacts/acme/k"), trees))

    assert any(firsts)
    assert len(list(store.list("artifacts/acme/k"))) == 3
    assert temporary_files(tmp_path) == []


def test_given_a_tree_when_it_is_deleted_then_only_its_own_objects_are_gone(store: Store, tmp_path: Path) -> None:
    store.publish_tree(tree(tmp_path / "one"), "artifacts/acme/one")
    store.publish_tree(tree(tmp_path / "two"), "artifacts/acme/two")

    store.delete_tree("artifacts/acme/one")
    store.delete_tree("artifacts/acme/one")

    assert list(store.list("artifacts/acme/one")) == []
    assert len(list(store.list("artifacts/acme/two"))) == 3
    assert store.publish_tree(tree(tmp_path / "again"), "artifacts/acme/one") is True
    assert temporary_files(tmp_path) == []


def test_a_check_of_a_working_store_leaves_nothing_behind(store: Store, tmp_path: Path) -> None:
    store.check()
    assert temporary_files(tmp_path) == []


def test_free_bytes_are_known_or_there_is_no_limit(store: Store, tmp_path: Path) -> None:
    free = store.free_bytes()

    assert free is None or 0 < free <= shutil.disk_usage(tmp_path).total
