"""The program of an edge node. `bulkhead tickets program` packs it and the modules it imports into one file, which
needs nothing but Python 3.11.

    bulkhead-tickets-node serve           answer the rotator: an SSH forced command, frames on standard input and output
    bulkhead-tickets-node bootstrap       generate a keyring if there is none, before HAProxy starts
    bulkhead-tickets-node key-age-alarm   fail if no key has arrived for long; after much longer, generate a new keyring

A change is written to the file, pushed to HAProxy and read back, under one lock. If the process is killed in between,
the next operation starts by bringing HAProxy up to date with the file.

Keys travel in frames, never in arguments, environment variables, logs, or files outside the tmpfs.
"""

import argparse
import json
import os
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from tasks.errors import BulkheadError, Conflict
from workers.tickets.keyring import KEY_COUNT, KEY_SIZES, InvalidKey, Key, Keyring
from workers.tickets.node.haproxy import HAProxy, HAProxyError
from workers.tickets.node.harden import harden_process
from workers.tickets.node.state import NodeState, NotOnTmpfs

# A frame is its length, four bytes in network order, followed by that many bytes of JSON. Three keys take 400 bytes.
FRAME_LENGTH = struct.Struct("!I")
MAX_FRAME = 16 * 1024

Frame = dict[str, Any]


class RequestRefused(Conflict):
    """The node refuses a request. `reason_code` is for programs, the text for people."""

    code = "request-refused"

    def __init__(self, reason_code: str, detail: str) -> None:
        super().__init__(detail)
        self.reason_code = reason_code


class TicketNode:
    """The keyring and HAProxy, under one lock. Each operation takes a request frame and returns fields of the reply."""

    def __init__(self, state: NodeState, haproxy: HAProxy, random: Callable[[int], bytes] = os.urandom) -> None:
        self._state, self._haproxy, self._random = state, haproxy, random

    def handle(self, frame: Frame) -> Frame:
        """Execute a request and report the node's status. Errors are part of the reply."""
        operations = {
            "status": self.status,
            "claim": self.claim,
            "read": self.read,
            "push": self.push,
            "forget": self.forget,
        }
        try:
            operation = operations.get(_field(frame, "op", str))
            if operation is None:
                raise RequestRefused(
                    "bad-frame",
                    "This node does not know the operation. Install the program that `bulkhead tickets program` "
                    "writes.",
                )
            with self._state.lock():
                self.reconcile()
                return {"ok": True, **operation(frame), "status": self._status()}
        except RequestRefused as refused:
            return {"ok": False, "code": refused.reason_code, "detail": str(refused)}
        except (HAProxyError, NotOnTmpfs, InvalidKey) as error:
            return {"ok": False, "code": "node-error", "detail": str(error)}
        except OSError as error:
            detail = f"{error.filename or 'HAProxy'}: {error.strerror or error}"
            return {"ok": False, "code": "node-error", "detail": detail}

    def status(self, _frame: Frame) -> Frame:
        """Only report the status, which is part of every reply."""
        return {}

    def claim(self, frame: Frame) -> Frame:
        """Make the sender the only one that may change the keyring.

        It remains so until a claim with a greater token arrives, or with an equal token of a greater owner.
        """
        claim, record = _parse_claim(frame), self._state.load_record()
        if claim < (record.token, record.owner):
            raise _stale_token(record.token, record.owner)
        self._state.save_record(replace(record, token=claim[0], owner=claim[1]))
        return {}

    def read(self, frame: Frame) -> Frame:
        """Return the keys to the owner, which catches up another node with them."""
        return {"keys": self._require_owner(frame).encode()}

    def push(self, frame: Frame) -> Frame:
        """Push one to three keys, oldest first, if the last key here is `expected_key`. Idempotent."""
        keyring = self._require_owner(frame)
        lines, generation = _field(frame, "keys", list), _field(frame, "generation", int)
        if not 0 < len(lines) <= KEY_COUNT or any(type(line) is not str for line in lines):
            raise RequestRefused("bad-frame", "A push has one to three keys, each in base64.")
        keys = tuple(map(Key.decode, lines))
        if keys == keyring.newest(len(keys)):
            if self._generation(keyring) != generation:  # the record was lost
                self._state.record_generation(keyring, generation)
        elif keyring.names[-1] != _field(frame, "expected_key", str):
            raise RequestRefused("keyring-changed", "The keyring changed after the rotator read it.")
        else:
            self._replace_keyring(keyring.push(*keys), generation)
        return {}

    def forget(self, frame: Frame) -> Frame:
        """Forget the fleet's keys, because the node leaves the fleet."""
        self._require_owner(frame)
        self._generate_own_keyring()
        return {}

    def reconcile(self) -> None:
        """Push the file's keys to HAProxy, restore a lost file from HAProxy, and correct an age in the future.

        Raises RequestRefused if there is no keyring.
        """
        keyring = self._state.load_keyring()
        if keyring:
            self._haproxy.sync(keyring)
            record = self._state.load_record().find(keyring)
            # After the clock was set back the keyring would count as new, and rotation would wait until that time.
            if record and self._state.age(record) < 0:
                self._state.record_generation(keyring, record.generation)
        elif running := self._haproxy.keys():
            self._state.write_keyring(Keyring(running))
        else:
            raise RequestRefused("no-keyring", "There is no keyring. Start bulkhead-tickets-bootstrap.service.")

    def bootstrap(self) -> str:
        """Make sure that there is a keyring, so that HAProxy starts. Returns what was done."""
        with self._state.lock():
            try:
                self.reconcile()
            except RequestRefused:
                self._generate_own_keyring()
                return "This node generated its own keyring. The rotator will push the fleet's keys."
        return "There is a keyring."

    def check_key_age(self, alarm_after: float, reset_after: float) -> str:
        """Check the age of the keyring in seconds. Past `reset_after` (0: never) the node generates a new one.

        Returns the problem as text; empty up to `alarm_after`.
        """
        with self._state.lock():
            self.reconcile()
            age = self._status()["key_age"]
            if age is None:
                return "The age of the keyring is unknown until the next key arrives."
            if age <= alarm_after:
                return ""
            problem = f"No ticket key has arrived for {age:.0f} s. Check that the rotator runs and reaches this node."
            if not 0 < reset_after < age:
                return problem
            self._generate_own_keyring()
            return (
                f"{problem} This node now uses a keyring of its own, because its keys were older than --reset-after "
                "allows."
            )

    def _status(self) -> Frame:
        """The status that the rotator receives with every reply. Contains no secret."""
        keyring, record = self._keyring(), self._state.load_record()
        keyring_record = record.find(keyring)
        return {
            "key_names": keyring.names,
            "key_size": keyring.size,
            "generation": keyring_record.generation if keyring_record else 0,
            "key_age": max(0.0, self._state.age(keyring_record)) if keyring_record else None,
            "haproxy_running": self._haproxy.keys() is not None,
            "token": record.token,
            "owner": record.owner,
            "newest_generation": record.newest_generation,
        }

    def _keyring(self) -> Keyring:
        keyring = self._state.load_keyring()
        assert keyring is not None  # noqa: S101 -- `reconcile` made sure of it
        return keyring

    def _require_owner(self, frame: Frame) -> Keyring:
        """The keyring, if the sender owns it. Raises RequestRefused."""
        record = self._state.load_record()
        if _parse_claim(frame) != (record.token, record.owner):
            raise _stale_token(record.token, record.owner)
        return self._keyring()

    def _generation(self, keyring: Keyring) -> int:
        record = self._state.load_record().find(keyring)
        return record.generation if record else 0

    def _replace_keyring(self, keyring: Keyring, generation: int) -> None:
        """Write the file first: an HAProxy that is reloaded in between reads the new keyring."""
        if (current := self._state.load_keyring()) and current.size != keyring.size:
            raise RequestRefused(
                "key-size", f"This node's keys have {current.size} bytes. Reload HAProxy to use keys of another size."
            )
        self._state.store(keyring, generation)
        self._haproxy.sync(keyring)

    def _generate_own_keyring(self) -> None:
        current = self._state.load_keyring()
        self._replace_keyring(Keyring.generate(current.size if current else KEY_SIZES[-1], self._random), 0)


def serve(node: TicketNode, source: BinaryIO, sink: BinaryIO) -> int:
    """Answer frames until the end of the input. Returns the exit code."""
    while header := source.read(FRAME_LENGTH.size):
        size = FRAME_LENGTH.unpack(header)[0] if len(header) == FRAME_LENGTH.size else MAX_FRAME + 1
        try:
            frame = json.loads(source.read(size)) if size <= MAX_FRAME else None
        except ValueError:
            frame = None
        if not isinstance(frame, dict):
            print("The input is not a frame of the rotator.", file=sys.stderr)
            return 2
        reply = json.dumps(node.handle(frame)).encode()
        sink.write(FRAME_LENGTH.pack(len(reply)) + reply)
        sink.flush()
    return 0


def main() -> int:
    """Run a command. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Manage the TLS ticket keys of an edge node.")
    parser.add_argument("command", choices=("serve", "bootstrap", "key-age-alarm"))
    parser.add_argument(
        "--keyring", type=Path, default="/run/bulkhead-tickets/keyring", help="the file named on HAProxy's bind line"
    )
    parser.add_argument(
        "--record",
        type=Path,
        default="/var/lib/bulkhead-tickets/record.json",
        help="the file with generation and owner",
    )
    parser.add_argument(
        "--haproxy", type=Path, default="/run/haproxy/tickets.sock", help="the runtime socket of HAProxy"
    )
    parser.add_argument(
        "--alarm-after",
        type=float,
        default=7200,
        metavar="SECONDS",
        help="key-age-alarm: fail if the newest key is older",
    )
    parser.add_argument(
        "--reset-after",
        type=float,
        default=86400,
        metavar="SECONDS",
        help="key-age-alarm: generate a new keyring if the newest key is older; 0: never",
    )
    arguments = parser.parse_args()
    harden_process()
    node = TicketNode(
        NodeState(arguments.keyring, arguments.record, time.time), HAProxy(arguments.haproxy, arguments.keyring)
    )
    try:
        if arguments.command == "serve":
            return serve(node, sys.stdin.buffer, sys.stdout.buffer)
        if arguments.command == "bootstrap":
            print(node.bootstrap())
            return 0
        problem = node.check_key_age(arguments.alarm_after, arguments.reset_after)
    except (BulkheadError, OSError) as error:
        problem = str(error)
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


def _field(frame: Frame, name: str, kind: type) -> Any:
    if type(frame.get(name)) is not kind:
        raise RequestRefused("bad-frame", f"The frame has no valid {name}.")
    return frame[name]


def _parse_claim(frame: Frame) -> tuple[int, str]:
    token, owner = _field(frame, "token", int), _field(frame, "owner", str)
    if not 0 < token < 2**63 or not 0 < len(owner) <= 255:
        raise RequestRefused(
            "bad-frame", "A token must be a positive number, and an owner must be a name of 1 to 255 characters."
        )
    return token, owner


def _stale_token(token: int, owner: str) -> RequestRefused:
    return RequestRefused("stale-token", f"{owner} owns this node with token {token}. Try again when it has finished.")


if __name__ == "__main__":
    sys.exit(main())
