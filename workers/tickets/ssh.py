"""One OpenSSH connection a node, and over it the rotator's requests to the node's program.

The connection is shared by all runs of this user and stays open between them (ssh_config(5), ControlMaster): setting
one up takes far longer than a rotation. The remote command is the forced one of authorized_keys(5), so none is named
here. Addresses, user, key and known hosts are ssh_config's, too. Requests are framed JSON on standard input; nothing of
them is in argv.
"""

import asyncio
import hashlib
import json
import re
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from workers.tickets.node.server import FRAME_LENGTH, MAX_FRAME
from workers.tickets.rotation import NodeStatus

# No question is ever asked, no unknown host trusted, nothing forwarded; a dead peer is noticed within 9 s.
SSH_OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "RequestTTY": "no",
    "ServerAliveInterval": "3",
    "ServerAliveCountMax": "2",
}

# Bytes that a socket's path may have (unix(7)), less those that ssh appends to it while the connection is made.
MAX_SOCKET_PATH = 107 - 17

NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")

_STATUS = TypeAdapter(NodeStatus)
_MAX_DETAIL = 500  # characters of what ssh says when it fails


class NodeUnreachable(Exception):
    """A node does not answer. The text is why."""


class NodeRefused(Exception):
    """A node answers, and does not do what it was asked to. `code` is the node program's."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How nodes are reached. `config`: a file of ssh_config(5), ssh's own if None. `timeout`: seconds for a request,
    and for connecting. `sockets`: folder of the shared connections, which stay open for `persist` seconds without use.
    """

    config: Path | None
    timeout: float
    sockets: Path
    persist: int

    def command(self, node: str) -> list[str]:
        """What to run. Raises ValueError for what is no name of a node."""
        if not NODE_NAME.fullmatch(node):
            raise ValueError(f"{node!r} is no name of a node: letters, digits, dots, dashes.")
        options = {**SSH_OPTIONS, "ConnectTimeout": str(max(1, round(self.timeout)))}
        socket = self.sockets.resolve() / hashlib.sha256(f"{self.config} {node}".encode()).hexdigest()[:16]
        if self.persist and len(str(socket)) <= MAX_SOCKET_PATH:
            self.sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
            options |= {"ControlMaster": "auto", "ControlPath": str(socket), "ControlPersist": str(self.persist)}
        config = ["-F", str(self.config)] if self.config else []
        return ["ssh", *config, *(f"-o{name}={value}" for name, value in options.items()), "--", node]


class NodeConnection:
    """A node at the end of an SSH connection, made or found at the first request. `view` is what it said last."""

    def __init__(self, node: str, options: SshOptions) -> None:
        self.node = node
        self.status: NodeStatus | None = None
        self._command = options.command(node)
        self._timeout = options.timeout
        self._process: Process | None = None

    async def request(self, op: str, **fields: object) -> dict[str, Any]:
        """The node's answer. Raises Unreachable or NodeRefused."""
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._exchange(json.dumps({"op": op, **fields}).encode())
        except TimeoutError:
            await self.close()
            raise NodeUnreachable(f"no answer within {self._timeout:g} s") from None
        if answer.get("ok") is not True:
            raise NodeRefused(str(answer.get("code")), str(answer.get("detail"))[:_MAX_DETAIL])
        try:
            self.status = _STATUS.validate_python(answer.get("view"))
        except ValidationError:
            raise NodeUnreachable("its program speaks another version: install the one of `tickets program`") from None
        return answer

    async def close(self) -> None:
        """End the connection."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def _exchange(self, frame: bytes) -> dict[str, Any]:
        try:
            if self._process is None:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, stdin=PIPE, stdout=PIPE, stderr=PIPE
                )
            process = self._process
            assert process.stdin is not None  # noqa: S101 -- pipes were asked for
            assert process.stdout is not None  # noqa: S101
            process.stdin.write(FRAME_LENGTH.pack(len(frame)) + frame)
            await process.stdin.drain()
            (size,) = FRAME_LENGTH.unpack(await process.stdout.readexactly(FRAME_LENGTH.size))
            if size > MAX_FRAME:
                raise ValueError(size)
            answer = json.loads(await process.stdout.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise NodeUnreachable(await self._read_stderr()) from None
        except ValueError:
            await self.close()
            raise NodeUnreachable("it says what no node's program says: is there another forced command?") from None
        except OSError as error:
            raise NodeUnreachable(f"ssh cannot be started: {error.strerror}") from None
        return answer if isinstance(answer, dict) else {}

    async def _read_stderr(self) -> str:
        """What ssh or the node's program said before the connection ended."""
        process, self._process = self._process, None
        if process is None or process.stderr is None:
            return "the connection ended"
        said = (await process.stderr.read()).decode(errors="replace").strip()
        await process.wait()
        return said.splitlines()[-1][:_MAX_DETAIL] if said else "the connection ended"
