"""One contract, every store: a local directory, and S3 (moto's server over real HTTP)."""

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

from tasks.storage import InvalidKey, NotFound, Store, open_store

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
    """Where temporary files go, so that a test can see what is left behind."""
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


def litter(tmp_path: Path) -> list[Path]:
    """Temporary files of either kind of store that are still there."""
    return [*(tmp_path / "scratch").rglob("*"), *(tmp_path / "store").glob(".tmp/*")]


def tree(directory: Path, manifest: bytes = b"{}") -> Path:
    (directory / "layers").mkdir(parents=True)
    (directory / "manifest.json").write_bytes(manifest)
    (directory / "preview.webp").write_bytes(b"preview")
    (directory / "layers" / "000.webp").write_bytes(b"layer")
    return directory


def test_given_a_writer_when_it_is_left_then_the_object_is_there_with_its_digest_and_size(store: Store) -> None:
    with store.writer("sources/acme/1") as writer:
        writer.write(b"pump ")
        writer.write(memoryview(b"station"))
        assert not store.exists("sources/acme/1")

    assert (writer.digest, writer.size) == (hashlib.sha256(b"pump station").hexdigest(), 12)
    assert store.exists("sources/acme/1")
    assert store.size("sources/acme/1") == 12
    with store.open_read("sources/acme/1") as source:
        assert (source.read(4), source.read()) == (b"pump", b" station")


def test_given_a_writer_when_its_path_is_read_then_it_holds_everything_written_so_far(store: Store) -> None:
    writer = store.writer("sources/acme/1")
    writer.write(b"a header")
    assert writer.path.read_bytes() == b"a header"
    writer.discard()


def test_given_a_writer_when_its_block_raises_then_nothing_is_there_and_nothing_is_left(
    store: Store, tmp_path: Path
) -> None:
    def fail_half_way() -> None:
        with store.writer("sources/acme/1") as writer:
            writer.write(b"half of it")
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        fail_half_way()

    assert not store.exists("sources/acme/1")
    assert litter(tmp_path) == []


def test_given_a_committed_writer_when_it_is_discarded_then_the_object_stays(store: Store, tmp_path: Path) -> None:
    writer = store.writer("sources/acme/1")
    writer.write(b"kept")
    writer.commit()
    writer.discard()

    assert store.exists("sources/acme/1")
    assert litter(tmp_path) == []


def test_given_an_object_when_put_again_then_it_is_replaced(store: Store) -> None:
    store.put("sources/acme/1", b"old")
    assert store.put("sources/acme/1", io.BytesIO(b"new")) == hashlib.sha256(b"new").hexdigest()

    with store.open_read("sources/acme/1") as source:
        assert source.read() == b"new"


def test_given_a_large_object_when_written_in_pieces_then_it_comes_back_whole(store: Store, tmp_path: Path) -> None:
    piece = bytes(range(256)) * (MIB // 256)
    with store.writer("sources/acme/large") as writer:
        for _ in range(13):
            writer.write(piece)

    store.fetch("sources/acme/large", tmp_path / "copy")
    with store.as_file("sources/acme/large") as borrowed:
        assert borrowed.read_bytes() == (tmp_path / "copy").read_bytes() == piece * 13
    assert litter(tmp_path) == []


def test_given_no_object_when_anything_reads_it_then_not_found_names_the_key(store: Store, tmp_path: Path) -> None:
    for read in (
        lambda: store.open_read("sources/acme/none"),
        lambda: store.size("sources/acme/none"),
        lambda: store.fetch("sources/acme/none", tmp_path / "copy"),
        lambda: store.as_file("sources/acme/none").__enter__(),
    ):
        with pytest.raises(NotFound, match="There is nothing in the store under 'sources/acme/none'"):
            read()
    assert not store.exists("sources/acme/none")


def test_given_a_prefix_when_an_object_of_that_name_is_asked_for_then_it_is_not_found(store: Store) -> None:
    store.put("sources/acme/1", b"x")
    assert not store.exists("sources/acme")
    with pytest.raises(NotFound):
        store.open_read("sources/acme")


@pytest.mark.parametrize(
    "key",
    [
        *("", "/etc/passwd", "../secret", "a/../b", "a/./b", "a//b", "a/", ".tmp/x", "a/.hidden", "C:/x"),
        *("a b", "a\0b", "a\n", "ä", "a\\b", "a/%2e%2e/b", "a/" * 300 + "b"),
    ],
)
def test_given_a_key_that_could_escape_when_used_then_it_is_refused_with_advice(
    store: Store, key: str, tmp_path: Path
) -> None:
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


def test_given_objects_when_listed_then_only_those_below_the_prefix_come(store: Store) -> None:
    for key in ["sources/acme/b", "sources/acme/a/2", "sources/acme/a/1", "sources/acmeother/c"]:
        store.put(key, b"x")

    assert sorted(store.list("sources/acme")) == ["sources/acme/a/1", "sources/acme/a/2", "sources/acme/b"]
    assert list(store.list("sources/nobody")) == []


def test_given_an_object_when_deleted_twice_then_it_is_gone_and_no_error_is_raised(store: Store) -> None:
    store.put("sources/acme/1", b"x")
    store.delete("sources/acme/1")
    store.delete("sources/acme/1")
    assert not store.exists("sources/acme/1")


def test_given_a_tree_when_published_then_all_of_it_is_there_and_the_directory_is_gone(
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


def test_given_a_published_tree_when_another_comes_then_the_first_stays(store: Store, tmp_path: Path) -> None:
    store.publish_tree(tree(tmp_path / "first", b"1"), "artifacts/acme/k")

    assert store.publish_tree(tree(tmp_path / "second", b"2"), "artifacts/acme/k") is False

    with store.open_read("artifacts/acme/k/manifest.json") as manifest:
        assert manifest.read() == b"1"
    assert not (tmp_path / "second").exists()
    assert litter(tmp_path) == []


def test_given_many_publishers_of_one_tree_when_they_race_then_one_whole_tree_is_there(
    store: Store, tmp_path: Path
) -> None:
    trees = [tree(tmp_path / f"made-{number}") for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        firsts = list(pool.map(lambda made: store.publish_tree(made, "artifacts/acme/k"), trees))

    assert any(firsts)
    assert len(list(store.list("artifacts/acme/k"))) == 3
    assert litter(tmp_path) == []


def test_given_a_tree_when_deleted_then_nothing_is_below_it_and_its_neighbours_stay(
    store: Store, tmp_path: Path
) -> None:
    store.publish_tree(tree(tmp_path / "one"), "artifacts/acme/one")
    store.publish_tree(tree(tmp_path / "two"), "artifacts/acme/two")

    store.delete_tree("artifacts/acme/one")
    store.delete_tree("artifacts/acme/one")

    assert list(store.list("artifacts/acme/one")) == []
    assert len(list(store.list("artifacts/acme/two"))) == 3
    assert store.publish_tree(tree(tmp_path / "again"), "artifacts/acme/one") is True
    assert litter(tmp_path) == []


def test_given_a_store_that_works_when_checked_then_nothing_is_raised_or_left(store: Store, tmp_path: Path) -> None:
    store.check()
    assert litter(tmp_path) == []


def test_a_store_tells_how_much_room_is_left_or_that_there_is_no_bound(store: Store, tmp_path: Path) -> None:
    free = store.free_bytes()

    assert free is None or 0 < free <= shutil.disk_usage(tmp_path).total
