"""The program of a node of the edge. `bulkhead tickets program` makes one file of it and of what it imports here; it
needs nothing but Python 3.11.

    bulkhead-tickets-node serve       answer the rotator: an SSH forced command, frames on standard input and output
    bulkhead-tickets-node bootstrap   take a ring of the node's own where there is none, before HAProxy starts
    bulkhead-tickets-node deadman     fail when no key came for long; after much longer, take a ring of its own

A change is written to the file, pushed to HAProxy and read back, under one lock. Should somebody be killed in between,
the next operation, whatever it is, begins by letting HAProxy follow the file.

Keys travel in frames, never in argv, environment, logs, or files outside the tmpfs.
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

from workers.tickets.keyring import KEY_COUNT, KEY_SIZES, InvalidKey, Key, Keyring
from workers.tickets.node.haproxy import HAProxy, HAProxyError
from workers.tickets.node.harden import harden_process
from workers.tickets.node.state import NodeState, NotOnTmpfs

# A frame is its length, four bytes in network order, and so many bytes of JSON. Three keys take 400.
FRAME_LENGTH = struct.Struct("!I")
MAX_FRAME = 16 * 1024

Frame = dict[str, Any]


class RequestRefused(Exception):
    """What was asked for is not done. `code` is for programs, the text for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class TicketNode:
    """State and HAProxy, under one lock. Every public method is an operation: a frame in, more of the answer out."""

    def __init__(self, state: NodeState, haproxy: HAProxy, random: Callable[[int], bytes] = os.urandom) -> None:
        self._state, self._haproxy, self._random = state, haproxy, random

    def handle(self, frame: Frame) -> Frame:
        """Do what a frame asks for, and tell what the node is like then. Raises nothing of its own."""
        operations = {"look": self.status, "claim": self.claim, "read": self.read, "push": self.push}
        operations["forget"] = self.forget
        try:
            operation = operations.get(_field(frame, "op", str))
            if operation is None:
                raise RequestRefused("bad-frame", "This node knows no such operation. Is its program older?")
            with self._state.lock():
                self.reconcile()
                return {"ok": True, **operation(frame), "view": self._status()}
        except RequestRefused as refused:
            return {"ok": False, "code": refused.code, "detail": str(refused)}
        except (HAProxyError, NotOnTmpfs, InvalidKey) as error:
            return {"ok": False, "code": "node", "detail": str(error)}
        except OSError as error:
            return {"ok": False, "code": "node", "detail": f"{error.filename or 'HAProxy'}: {error.strerror or error}"}

    def status(self, _frame: Frame) -> Frame:
        """Only tell."""
        return {}

    def claim(self, frame: Frame) -> Frame:
        """From now on only this holder changes the ring, until a greater token comes, or an equal one of a greater
        holder.
        """
        asked, record = _parse_claim(frame), self._state.load_record()
        if asked < (record.token, record.owner):
            raise _stale_token(record.token, record.owner)
        self._state.save_record(replace(record, token=asked[0], owner=asked[1]))
        return {}

    def read(self, frame: Frame) -> Frame:
        """Give the keys to their holder, who catches up another node with them."""
        return {"keys": self._require_owner(frame).encode()}

    def push(self, frame: Frame) -> Frame:
        """Push one to three keys, the oldest first, if the last key here is the one `expect`ed. Again: nothing."""
        ring = self._require_owner(frame)
        lines, generation = _field(frame, "keys", list), _field(frame, "generation", int)
        if not 0 < len(lines) <= KEY_COUNT or any(type(line) is not str for line in lines):
            raise RequestRefused("bad-frame", "One to three keys are pushed, each in base64.")
        keys = tuple(map(Key.decode, lines))
        if keys == ring.newest(len(keys)):
            if self._generation(ring) != generation:  # the record was lost
                self._state.record_generation(ring, generation)
        elif ring.names[-1] != _field(frame, "expect", str):
            raise RequestRefused("moved", "The ring is not the one that the rotator saw.")
        else:
            self._replace_keyring(ring.push(*keys), generation)
        return {}

    def forget(self, frame: Frame) -> Frame:
        """The node leaves the fleet, and its keys with it."""
        self._require_owner(frame)
        self._generate_own_keyring()
        return {}

    def reconcile(self) -> None:
        """Let HAProxy follow the file, a lost file follow HAProxy, and a ring's age a clock that was set back. Raises
        Refused where there is no ring.
        """
        ring = self._state.load_keyring()
        if ring:
            self._haproxy.sync(ring)
            dated = self._state.load_record().find(ring)
            if dated and self._state.age(dated) < 0:  # or it would be young, and rotation wait, until that time comes
                self._state.record_generation(ring, dated.generation)
        elif running := self._haproxy.keys():
            self._state.write_keyring(Keyring(running))
        else:
            raise RequestRefused("no-ring", "There is no ring. Start bulkhead-tickets-bootstrap.service.")

    def bootstrap(self) -> str:
        """See that there is a ring, so that HAProxy starts. What was done, in words."""
        with self._state.lock():
            try:
                self.reconcile()
            except RequestRefused:
                self._generate_own_keyring()
                return "This node took a ring of its own. The rotator will bring the fleet's."
        return "There is a ring."

    def check_key_age(self, alarm_after: float, reset_after: float) -> str:
        """Look for how many seconds the ring has been here; past `randomise` (0: never) take another one. What is
        wrong, in words; empty up to `alarm`.
        """
        with self._state.lock():
            self.reconcile()
            age = self._status()["age"]
            if age is None:
                return "It is not known since when the ring is here; the next key will tell."
            if age <= alarm_after:
                return ""
            said = f"No ticket key came for {age:.0f} s. Does the rotator work, and reach this node?"
            if not 0 < reset_after < age:
                return said
            self._generate_own_keyring()
            return f"{said} This node took a ring of its own, for no key may live so long."

    def _status(self) -> Frame:
        """What the rotator is told with every answer. No secret."""
        ring, record = self._keyring(), self._state.load_record()
        dated = record.find(ring)
        return {
            "names": ring.names,
            "size": ring.size,
            "generation": dated.generation if dated else 0,
            "age": max(0.0, self._state.age(dated)) if dated else None,
            "running": self._haproxy.keys() is not None,
            "token": record.token,
            "holder": record.owner,
            "seen": record.newest_generation,
        }

    def _keyring(self) -> Keyring:
        ring = self._state.load_keyring()
        assert ring is not None  # noqa: S101 -- settled
        return ring

    def _require_owner(self, frame: Frame) -> Keyring:
        """The ring, for its holder. Raises Refused."""
        record = self._state.load_record()
        if _parse_claim(frame) != (record.token, record.owner):
            raise _stale_token(record.token, record.owner)
        return self._keyring()

    def _generation(self, ring: Keyring) -> int:
        dated = self._state.load_record().find(ring)
        return dated.generation if dated else 0

    def _replace_keyring(self, ring: Keyring, generation: int) -> None:
        """File first: a reload in between reads the new ring."""
        if (here := self._state.load_keyring()) and here.size != ring.size:
            raise RequestRefused(
                "size", f"This node's keys have {here.size} bytes, which only a reload of HAProxy changes."
            )
        self._state.store(ring, generation)
        self._haproxy.sync(ring)

    def _generate_own_keyring(self) -> None:
        here = self._state.load_keyring()
        self._replace_keyring(Keyring.generate(here.size if here else KEY_SIZES[-1], self._random), 0)


def serve(node: TicketNode, source: BinaryIO, sink: BinaryIO) -> int:
    """Answer frames until there are no more. The exit code."""
    while header := source.read(FRAME_LENGTH.size):
        size = FRAME_LENGTH.unpack(header)[0] if len(header) == FRAME_LENGTH.size else MAX_FRAME + 1
        try:
            frame = json.loads(source.read(size)) if size <= MAX_FRAME else None
        except ValueError:
            frame = None
        if not isinstance(frame, dict):
            print("This is no frame of a rotator's.", file=sys.stderr)
            return 2
        said = json.dumps(node.handle(frame)).encode()
        sink.write(FRAME_LENGTH.pack(len(said)) + said)
        sink.flush()
    return 0


def main() -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description="What a node of the edge does for its TLS ticket keys.")
    parser.add_argument("command", choices=("serve", "bootstrap", "deadman"))
    parser.add_argument("--ring", type=Path, default="/run/bulkhead-tickets/ring", help="the file of the bind line")
    parser.add_argument("--record", type=Path, default="/var/lib/bulkhead-tickets/record.json", help="holds no secret")
    parser.add_argument("--haproxy", type=Path, default="/run/haproxy/tickets.sock", help="its runtime socket")
    parser.add_argument("--alarm", type=float, default=7200, help="deadman: two intervals, in seconds")
    parser.add_argument("--randomise", type=float, default=86400, help="deadman: seconds; 0 is never")
    chosen = parser.parse_args()
    harden_process()
    node = TicketNode(NodeState(chosen.ring, chosen.record, time.time), HAProxy(chosen.haproxy, chosen.ring))
    try:
        if chosen.command == "serve":
            return serve(node, sys.stdin.buffer, sys.stdout.buffer)
        if chosen.command == "bootstrap":
            print(node.bootstrap())
            return 0
        wrong = node.check_key_age(chosen.alarm, chosen.randomise)
    except (RequestRefused, HAProxyError, NotOnTmpfs, OSError) as error:
        wrong = str(error)
    if wrong:
        print(wrong, file=sys.stderr)
    return 1 if wrong else 0


def _field(frame: Frame, name: str, kind: type) -> Any:
    if type(frame.get(name)) is not kind:
        raise RequestRefused("bad-frame", f"The frame has no proper {name}.")
    return frame[name]


def _parse_claim(frame: Frame) -> tuple[int, str]:
    token, holder = _field(frame, "token", int), _field(frame, "holder", str)
    if not 0 < token < 2**63 or not 0 < len(holder) <= 255:
        raise RequestRefused("bad-frame", "A token is a positive number, a holder a name.")
    return token, holder


def _stale_token(token: int, owner: str) -> RequestRefused:
    return RequestRefused("fenced", f"{owner} has this node, with token {token}.")


if __name__ == "__main__":
    sys.exit(main())
