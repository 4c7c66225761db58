"""A node's program without HAProxy running: fencing, the record, the file, and frames from a stranger."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from workers.tickets.keyring import Key
from workers.tickets.node.haproxy import HAProxy
from workers.tickets.node.server import FRAME_LENGTH, MAX_FRAME, TicketNode, serve
from workers.tickets.node.state import NodeState
from workers.tickets.node_archive import build_archive

MEMORY = Path("/dev/shm")


class Clock:
    """Seconds that pass when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def state(memory: Path, tmp_path: Path, clock: Clock) -> NodeState:
    return NodeState(memory / "ring", tmp_path / "record.json", clock)


@pytest.fixture
def node(state: NodeState, memory: Path) -> TicketNode:
    node = TicketNode(state, HAProxy(memory / "nobody.sock", memory / "ring"))
    node.bootstrap()
    return node


def ask(node: TicketNode, op: str, token: int = 1, holder: str = "jump", **fields: Any) -> dict[str, Any]:
    return node.handle({"op": op, "token": token, "holder": holder, **fields})


def push(node: TicketNode, keys: list[Key], generation: int, token: int = 1, **fields: Any) -> dict[str, Any]:
    expect = node.handle({"op": "look"})["view"]["names"][-1]
    lines = [key.encode() for key in keys]
    return ask(node, "push", token, **{"expect": expect, "keys": lines, "generation": generation, **fields})


def keys(count: int = 1, size: int = 80) -> list[Key]:
    return [Key.generate(size, os.urandom) for _ in range(count)]


def test_given_a_new_node_then_it_has_a_ring_of_its_own_that_only_it_may_read(node: TicketNode, memory: Path) -> None:
    view = ask(node, "look")["view"]

    assert (view["generation"], view["token"], view["running"], view["size"]) == (0, 0, False, 80)
    assert (memory / "ring").stat().st_mode & 0o777 == 0o600
    assert node.bootstrap() == "There is a ring."
    assert ask(node, "look")["view"]["names"] == view["names"]


def test_given_a_claim_then_keys_are_pushed_in_order_and_dated(node: TicketNode, clock: Clock) -> None:
    ask(node, "claim")
    first, second = keys(2)

    push(node, [first], 7)
    clock.now += 60
    view = push(node, [second], 8)["view"]

    assert view["names"][1:] == (first.name, second.name)
    assert (view["generation"], view["seen"], view["age"]) == (8, 8, 0)
    clock.now += 5
    assert ask(node, "look")["view"]["age"] == 5
    assert ask(node, "read")["keys"][1:] == [first.encode(), second.encode()]


def test_given_a_clock_that_is_set_back_then_the_rings_age_counts_from_then_on(node: TicketNode, clock: Clock) -> None:
    ask(node, "claim")
    push(node, keys(), 7)
    clock.now -= 600  # it was wrong when the key came

    assert ask(node, "look")["view"]["age"] == 0
    clock.now += 60
    view = ask(node, "look")["view"]
    assert (view["age"], view["generation"]) == (60, 7)


def test_given_the_same_push_again_then_nothing_happens(node: TicketNode) -> None:
    ask(node, "claim")
    (key,) = keys()
    before = push(node, [key], 7)["view"]

    again = push(node, [key], 7)

    assert (again["ok"], again["view"]) == (True, before)


def test_given_a_push_for_another_ring_then_it_is_refused(node: TicketNode) -> None:
    ask(node, "claim")
    said = push(node, keys(), 7, expect="00" * 16)

    assert (said["code"], said["detail"]) == ("moved", "The ring is not the one that the rotator saw.")


@pytest.mark.parametrize("op", ["read", "push", "forget"])
def test_given_no_claim_or_an_older_one_then_nothing_is_given_or_changed(node: TicketNode, op: str) -> None:
    fields = {"keys": [keys()[0].encode()], "generation": 1, "expect": ""} if op == "push" else {}
    before = ask(node, "look")["view"]["names"]
    ask(node, "claim", 5, "new")

    for token, holder in ((4, "new"), (5, "old"), (6, "new")):
        said = ask(node, op, token, holder, **fields)
        assert (said["code"], said["detail"]) == ("fenced", "new has this node, with token 5.")
    assert ask(node, "look")["view"]["names"] == before


def test_given_claims_then_the_greater_token_wins_and_of_equal_ones_the_greater_holder(node: TicketNode) -> None:
    assert ask(node, "claim", 5, "b")["ok"]
    assert ask(node, "claim", 5, "b")["ok"]
    assert ask(node, "claim", 5, "a")["code"] == "fenced"
    assert ask(node, "claim", 5, "c")["ok"]
    assert ask(node, "claim", 4, "z")["code"] == "fenced"
    assert ask(node, "claim", 6, "a")["ok"]


def test_given_a_reboot_then_the_token_is_remembered_and_the_ring_is_the_nodes_own(
    node: TicketNode, memory: Path, state: NodeState
) -> None:
    ask(node, "claim", 5)
    push(node, keys(3), 41, 5)
    (memory / "ring").unlink()

    node.bootstrap()

    view = ask(node, "look")["view"]
    assert (view["generation"], view["seen"], view["token"]) == (0, 41, 5)
    assert state.load_record().owner == "jump"


def test_given_a_lost_record_then_a_push_of_what_is_there_tells_the_generation(
    node: TicketNode, tmp_path: Path
) -> None:
    ask(node, "claim")
    ring = keys(3)
    push(node, ring, 41)
    (tmp_path / "record.json").unlink()
    ask(node, "claim")
    assert ask(node, "look")["view"]["generation"] == 0

    said = push(node, ring[2:], 41)

    assert said["view"]["generation"] == 41
    assert said["view"]["names"] == tuple(key.name for key in ring)


def test_given_keys_of_another_size_then_they_are_refused_with_what_to_do(node: TicketNode) -> None:
    ask(node, "claim")

    said = push(node, keys(3, size=48), 1)

    assert said["code"] == "size"
    assert said["detail"] == "This node's keys have 80 bytes, which only a reload of HAProxy changes."


def test_given_a_ring_file_on_a_disk_then_it_is_not_written(tmp_path: Path, clock: Clock) -> None:
    if not str(Path(tempfile.gettempdir()).resolve()).startswith("/tmp"):
        pytest.skip("The tests' own directory is no disk.")
    ring = Path("/usr/bin/ring")
    node = TicketNode(NodeState(ring, tmp_path / "record.json", clock), HAProxy(tmp_path / "nobody.sock", ring))

    with pytest.raises(Exception, match=r"Keys lie on a tmpfs only, such as /run\."):
        node.bootstrap()

    assert not ring.exists()


@pytest.mark.parametrize(
    ("frame", "detail"),
    [
        ({}, "The frame has no proper op."),
        ({"op": ["look"]}, "The frame has no proper op."),
        ({"op": "shell"}, "This node knows no such operation. Is its program older?"),
        ({"op": "claim", "token": True, "holder": "x"}, "The frame has no proper token."),
        ({"op": "claim", "token": 0, "holder": "x"}, "A token is a positive number, a holder a name."),
        ({"op": "claim", "token": 2**63, "holder": "x"}, "A token is a positive number, a holder a name."),
        ({"op": "claim", "token": 1, "holder": "x" * 256}, "A token is a positive number, a holder a name."),
    ],
)
def test_given_a_frame_that_is_none_then_it_is_refused(node: TicketNode, frame: dict[str, Any], detail: str) -> None:
    said = node.handle(frame)

    assert (said["ok"], said["detail"]) == (False, detail)


@pytest.mark.parametrize("pushed", [[], [1], ["AAAA"], ["x"] * 4])
def test_given_what_are_no_keys_then_the_error_shows_nothing_of_them(node: TicketNode, pushed: list[object]) -> None:
    ask(node, "claim")

    said = ask(node, "push", keys=pushed, generation=1, expect="")

    assert not said["ok"]
    assert said["detail"] in (
        "One to three keys are pushed, each in base64.",
        "A ticket key is 48 or 80 bytes in base64, on one line.",
        "The frame has no proper keys.",
    )


def test_given_several_frames_then_each_is_answered_and_the_end_is_the_end(node: TicketNode) -> None:
    frame = json.dumps({"op": "look"}).encode()
    sink = BytesIO()

    assert serve(node, BytesIO(2 * (FRAME_LENGTH.pack(len(frame)) + frame)), sink) == 0

    said = sink.getvalue()
    (size,) = FRAME_LENGTH.unpack(said[: FRAME_LENGTH.size])
    assert len(said) == 2 * (FRAME_LENGTH.size + size)
    assert json.loads(said[FRAME_LENGTH.size : FRAME_LENGTH.size + size])["ok"]


@pytest.mark.parametrize(
    "sent",
    [
        b"\0",
        FRAME_LENGTH.pack(MAX_FRAME + 1),
        FRAME_LENGTH.pack(2**32 - 1),
        FRAME_LENGTH.pack(9) + b"{",
        FRAME_LENGTH.pack(2) + b"[]",
    ],
)
def test_given_bytes_that_are_no_frame_then_the_program_ends(
    node: TicketNode, sent: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve(node, BytesIO(sent), BytesIO()) == 2
    assert capsys.readouterr().err == "This is no frame of a rotator's.\n"


def test_given_no_rotation_for_long_then_there_is_an_alarm_and_much_later_a_ring_of_its_own(
    node: TicketNode, clock: Clock
) -> None:
    ask(node, "claim")
    push(node, keys(3), 41)
    before = ask(node, "look")["view"]["names"]
    assert node.check_key_age(120, 1000) == ""

    clock.now += 121
    said = "No ticket key came for 121 s. Does the rotator work, and reach this node?"
    assert node.check_key_age(120, 1000) == said
    assert node.check_key_age(120, 0) == said
    assert ask(node, "look")["view"]["names"] == before

    clock.now += 1000
    assert node.check_key_age(120, 1000).endswith("This node took a ring of its own, for no key may live so long.")
    view = ask(node, "look")["view"]
    assert not set(view["names"]) & set(before)
    assert (view["generation"], view["seen"]) == (0, 41)


def test_the_program_is_one_small_file_that_is_always_the_same_and_needs_the_standard_library_only(
    tmp_path: Path, memory: Path
) -> None:
    file = tmp_path / "program"
    file.write_bytes(build_archive())
    places = ["--ring", f"{memory}/ring", "--record", f"{tmp_path}/record.json", "--haproxy", f"{memory}/nobody"]

    done = subprocess.run(
        [sys.executable, "-IS", str(file), "bootstrap", *places], capture_output=True, text=True, timeout=30
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "This node took a ring of its own. The rotator will bring the fleet's.\n"
    assert build_archive() == file.read_bytes()
    assert len(build_archive()) < 16 * 1024
