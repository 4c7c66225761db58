"""A node's program without HAProxy: fencing tokens, the record, the keyring file, and invalid frames."""

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
    """A clock that is set by the test."""

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
    return NodeState(memory / "keyring", tmp_path / "record.json", clock)


@pytest.fixture
def node(state: NodeState, memory: Path) -> TicketNode:
    node = TicketNode(state, HAProxy(memory / "nobody.sock", memory / "keyring"))
    node.bootstrap()
    return node


def ask(node: TicketNode, op: str, token: int = 1, owner: str = "jump", **fields: Any) -> dict[str, Any]:
    return node.handle({"op": op, "token": token, "owner": owner, **fields})


def push(node: TicketNode, keys: list[Key], generation: int, token: int = 1, **fields: Any) -> dict[str, Any]:
    expected_key = node.handle({"op": "status"})["status"]["key_names"][-1]
    lines = [key.encode() for key in keys]
    return ask(node, "push", token, **{"expected_key": expected_key, "keys": lines, "generation": generation, **fields})


def keys(count: int = 1, size: int = 80) -> list[Key]:
    return [Key.generate(size, os.urandom) for _ in range(count)]


def test_given_a_new_node_then_it_generates_a_keyring_that_only_it_may_read(node: TicketNode, memory: Path) -> None:
    status = ask(node, "status")["status"]

    assert (status["generation"], status["token"], status["haproxy_running"], status["key_size"]) == (0, 0, False, 80)
    assert (memory / "keyring").stat().st_mode & 0o777 == 0o600
    assert node.bootstrap() == "There is a keyring."
    assert ask(node, "status")["status"]["key_names"] == status["key_names"]


def test_given_a_claim_then_keys_are_pushed_in_order_and_their_time_is_recorded(node: TicketNode, clock: Clock) -> None:
    ask(node, "claim")
    first, second = keys(2)

    push(node, [first], 7)
    clock.now += 60
    status = push(node, [second], 8)["status"]

    assert status["key_names"][1:] == (first.name, second.name)
    assert (status["generation"], status["newest_generation"], status["key_age"]) == (8, 8, 0)
    clock.now += 5
    assert ask(node, "status")["status"]["key_age"] == 5
    assert ask(node, "read")["keys"][1:] == [first.encode(), second.encode()]


def test_given_a_clock_that_is_set_back_then_the_key_age_starts_again(node: TicketNode, clock: Clock) -> None:
    ask(node, "claim")
    push(node, keys(), 7)
    clock.now -= 600  # it was wrong when the key came

    assert ask(node, "status")["status"]["key_age"] == 0
    clock.now += 60
    status = ask(node, "status")["status"]
    assert (status["key_age"], status["generation"]) == (60, 7)


def test_given_a_repeated_push_then_nothing_changes(node: TicketNode) -> None:
    ask(node, "claim")
    (key,) = keys()
    before = push(node, [key], 7)["status"]

    again = push(node, [key], 7)

    assert (again["ok"], again["status"]) == (True, before)


def test_given_a_push_for_another_keyring_then_it_is_refused(node: TicketNode) -> None:
    ask(node, "claim")
    reply = push(node, keys(), 7, expected_key="00" * 16)

    assert (reply["code"], reply["detail"]) == ("keyring-changed", "The keyring changed after the rotator read it.")


@pytest.mark.parametrize("op", ["read", "push", "forget"])
def test_given_no_claim_or_an_older_one_then_nothing_is_returned_or_changed(node: TicketNode, op: str) -> None:
    fields = {"keys": [keys()[0].encode()], "generation": 1, "expected_key": ""} if op == "push" else {}
    before = ask(node, "status")["status"]["key_names"]
    ask(node, "claim", 5, "new")

    for token, owner in ((4, "new"), (5, "old"), (6, "new")):
        reply = ask(node, op, token, owner, **fields)
        assert (reply["code"], reply["detail"]) == (
            "stale-token",
            "new owns this node with token 5. Try again when it has finished.",
        )
    assert ask(node, "status")["status"]["key_names"] == before


def test_given_claims_then_the_greater_token_wins_and_with_equal_tokens_the_greater_owner(node: TicketNode) -> None:
    assert ask(node, "claim", 5, "b")["ok"]
    assert ask(node, "claim", 5, "b")["ok"]
    assert ask(node, "claim", 5, "a")["code"] == "stale-token"
    assert ask(node, "claim", 5, "c")["ok"]
    assert ask(node, "claim", 4, "z")["code"] == "stale-token"
    assert ask(node, "claim", 6, "a")["ok"]


def test_given_a_reboot_then_the_token_is_kept_and_the_node_generates_a_keyring(
    node: TicketNode, memory: Path, state: NodeState
) -> None:
    ask(node, "claim", 5)
    push(node, keys(3), 41, 5)
    (memory / "keyring").unlink()

    node.bootstrap()

    status = ask(node, "status")["status"]
    assert (status["generation"], status["newest_generation"], status["token"]) == (0, 41, 5)
    assert state.load_record().owner == "jump"


def test_given_a_lost_record_then_a_push_of_the_same_keys_restores_the_generation(
    node: TicketNode, tmp_path: Path
) -> None:
    ask(node, "claim")
    pushed = keys(3)
    push(node, pushed, 41)
    (tmp_path / "record.json").unlink()
    ask(node, "claim")
    assert ask(node, "status")["status"]["generation"] == 0

    reply = push(node, pushed[2:], 41)

    assert reply["status"]["generation"] == 41
    assert reply["status"]["key_names"] == tuple(key.name for key in pushed)


def test_given_keys_of_another_size_then_they_are_refused_with_advice(node: TicketNode) -> None:
    ask(node, "claim")

    reply = push(node, keys(3, size=48), 1)

    assert reply["code"] == "key-size"
    assert reply["detail"] == "This node's keys have 80 bytes. Reload HAProxy to use keys of another size."


def test_given_a_keyring_file_on_a_disk_then_it_is_not_written(tmp_path: Path, clock: Clock) -> None:
    if not str(Path(tempfile.gettempdir()).resolve()).startswith("/tmp"):
        pytest.skip("The temporary directory is not on a disk.")
    keyring_file = Path("/usr/bin/keyring")
    node = TicketNode(
        NodeState(keyring_file, tmp_path / "record.json", clock), HAProxy(tmp_path / "nobody.sock", keyring_file)
    )

    with pytest.raises(Exception, match=r"Keys must lie on a tmpfs, such as /run\."):
        node.bootstrap()

    assert not keyring_file.exists()


@pytest.mark.parametrize(
    ("frame", "detail"),
    [
        ({}, "The frame has no valid op."),
        ({"op": ["look"]}, "The frame has no valid op."),
        (
            {"op": "shell"},
            "This node does not know the operation. Install the program that `bulkhead tickets program` writes.",
        ),
        ({"op": "claim", "token": True, "owner": "x"}, "The frame has no valid token."),
        (
            {"op": "claim", "token": 0, "owner": "x"},
            "A token must be a positive number, and an owner must be a name of 1 to 255 characters.",
        ),
        (
            {"op": "claim", "token": 2**63, "owner": "x"},
            "A token must be a positive number, and an owner must be a name of 1 to 255 characters.",
        ),
        (
            {"op": "claim", "token": 1, "owner": "x" * 256},
            "A token must be a positive number, and an owner must be a name of 1 to 255 characters.",
        ),
    ],
)
def test_given_an_invalid_frame_then_it_is_refused(node: TicketNode, frame: dict[str, Any], detail: str) -> None:
    reply = node.handle(frame)

    assert (reply["ok"], reply["detail"]) == (False, detail)


@pytest.mark.parametrize("pushed", [[], [1], ["AAAA"], ["x"] * 4])
def test_given_invalid_keys_then_the_error_does_not_show_them(node: TicketNode, pushed: list[object]) -> None:
    ask(node, "claim")

    reply = ask(node, "push", keys=pushed, generation=1, expected_key="")

    assert not reply["ok"]
    assert reply["detail"] in (
        "A push has one to three keys, each in base64.",
        "A ticket key is 48 or 80 bytes in base64, on one line.",
        "The frame has no valid keys.",
    )


def test_given_several_frames_then_each_is_answered_until_the_input_ends(node: TicketNode) -> None:
    frame = json.dumps({"op": "status"}).encode()
    sink = BytesIO()

    assert serve(node, BytesIO(2 * (FRAME_LENGTH.pack(len(frame)) + frame)), sink) == 0

    output = sink.getvalue()
    (size,) = FRAME_LENGTH.unpack(output[: FRAME_LENGTH.size])
    assert len(output) == 2 * (FRAME_LENGTH.size + size)
    assert json.loads(output[FRAME_LENGTH.size : FRAME_LENGTH.size + size])["ok"]


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
def test_given_input_that_is_not_a_frame_then_the_program_exits(
    node: TicketNode, sent: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve(node, BytesIO(sent), BytesIO()) == 2
    assert capsys.readouterr().err == "The input is not a frame of the rotator.\n"


def test_given_no_rotation_for_long_then_there_is_an_alarm_and_much_later_a_new_keyring(
    node: TicketNode, clock: Clock
) -> None:
    ask(node, "claim")
    push(node, keys(3), 41)
    before = ask(node, "status")["status"]["key_names"]
    assert node.check_key_age(120, 1000) == ""

    clock.now += 121
    problem = "No ticket key has arrived for 121 s. Check that the rotator runs and reaches this node."
    assert node.check_key_age(120, 1000) == problem
    assert node.check_key_age(120, 0) == problem
    assert ask(node, "status")["status"]["key_names"] == before

    clock.now += 1000
    assert node.check_key_age(120, 1000).endswith(
        "This node now uses a keyring of its own, because its keys were older than --reset-after allows."
    )
    status = ask(node, "status")["status"]
    assert not set(status["key_names"]) & set(before)
    assert (status["generation"], status["newest_generation"]) == (0, 41)


def test_the_program_is_one_small_reproducible_file_that_needs_only_the_standard_library(
    tmp_path: Path, memory: Path
) -> None:
    file = tmp_path / "program"
    file.write_bytes(build_archive())
    places = ["--keyring", f"{memory}/keyring", "--record", f"{tmp_path}/record.json", "--haproxy", f"{memory}/nobody"]

    done = subprocess.run(
        [sys.executable, "-IS", str(file), "bootstrap", *places], capture_output=True, text=True, timeout=30
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "This node generated its own keyring. The rotator will push the fleet's keys.\n"
    assert build_archive() == file.read_bytes()
    assert len(build_archive()) < 16 * 1024
