"""One OpenSSH connection to each node, which carries the rotator's requests to the node's program.

All runs of this user share the connection, and it stays open between them (ssh_config(5), ControlMaster): opening one
takes far longer than a rotation. The remote command is the forced command of authorized_keys(5), so none is named here.
Addresses, user, key and known hosts come from ssh_config too. Requests are framed JSON on standard input; no part of
them is a command-line argument.
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

from tasks.errors import Conflict, InvalidInput, ServiceUnavailable
from workers.tickets.node.server import FRAME_LENGTH, MAX_FRAME
from workers.tickets.rotation import NodeStatus

# ssh never prompts, trusts no unknown host and forwards nothing; a dead peer is noticed within 9 s.
SSH_OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "RequestTTY": "no",
    "ServerAliveInterval": "3",
    "ServerAliveCountMax": "2",
}

# Maximum length of a socket's path (unix(7)), minus the suffix that ssh appends while it connects.
MAX_SOCKET_PATH = 107 - 17

NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")

_STATUS = TypeAdapter(NodeStatus)
_MAX_DETAIL = 500  # characters of an error of ssh or of the node


class InvalidNodeName(InvalidInput):
    """The name of a node is not valid."""

    code = "invalid-node"


class NodeUnreachable(ServiceUnavailable):
    """The node does not answer. The text is the reason."""

    code = "node-unreachable"


class NodeRefused(Conflict):
    """The node refused a request. `reason_code` is that of the node's program."""

    code = "node-refused"

    def __init__(self, reason_code: str, detail: str) -> None:
        super().__init__(detail)
        self.reason_code = reason_code


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How nodes are reached.

    `config` is a file in the format of ssh_config(5), ssh's default if None. `timeout` is in seconds, for connecting
    and for each request. `sockets` is the folder of the shared connections, which close after `persist` idle seconds.
    """

    config: Path | None
    timeout: float
    sockets: Path
    persist: int

    def command(self, node: str) -> list[str]:
        """The command that connects to a node. Raises InvalidNodeName."""
        if not NODE_NAME.fullmatch(node):
            raise InvalidNodeName(
                f"{node!r} is not a valid node name. Use letters, digits, dots, dashes and underscores."
            )
        options = {**SSH_OPTIONS, "ConnectTimeout": str(max(1, round(self.timeout)))}
        socket = self.sockets.resolve() / hashlib.sha256(f"{self.config} {node}".encode()).hexdigest()[:16]
        if self.persist and len(str(socket)) <= MAX_SOCKET_PATH:
            self.sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
            options |= {"ControlMaster": "auto", "ControlPath": str(socket), "ControlPersist": str(self.persist)}
        config = ["-F", str(self.config)] if self.config else []
        return ["ssh", *config, *(f"-o{name}={value}" for name, value in options.items()), "--", node]


class NodeConnection:
    """An SSH connection to a node, opened or reused at the first request. `status` is the node's latest status."""

    def __init__(self, node: str, options: SshOptions) -> None:
        self.node = node
        self.status: NodeStatus | None = None
        self._command = options.command(node)
        self._timeout = options.timeout
        self._process: Process | None = None

    async def request(self, op: str, **fields: object) -> dict[str, Any]:
        """Send a request. Returns the node's reply. Raises NodeUnreachable or NodeRefused."""
        try:
            async with asyncio.timeout(self._timeout):
                reply = await self._exchange(json.dumps({"op": op, **fields}).encode())
        except TimeoutError:
            await self.close()
            raise NodeUnreachable(f"no answer within {self._timeout:g} s") from None
        if reply.get("ok") is not True:
            raise NodeRefused(str(reply.get("code")), str(reply.get("detail"))[:_MAX_DETAIL])
        try:
            self.status = _STATUS.validate_python(reply.get("status"))
        except ValidationError:
            raise NodeUnreachable(
                "its program has another version; install the file that `bulkhead tickets program` writes"
            ) from None
        return reply

    async def close(self) -> None:
        """Close the connection."""
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
            assert process.stdin is not None  # noqa: S101 -- pipes were requested
            assert process.stdout is not None  # noqa: S101
            process.stdin.write(FRAME_LENGTH.pack(len(frame)) + frame)
            await process.stdin.drain()
            (size,) = FRAME_LENGTH.unpack(await process.stdout.readexactly(FRAME_LENGTH.size))
            if size > MAX_FRAME:
                raise ValueError(size)
            reply = json.loads(await process.stdout.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise NodeUnreachable(await self._read_stderr()) from None
        except ValueError:
            await self.close()
            raise NodeUnreachable(
                "its reply is not that of the node's program; check the forced command of this host's SSH key on "
                "the node"
            ) from None
        except OSError as error:
            raise NodeUnreachable(f"ssh cannot be started: {error.strerror}") from None
        return reply if isinstance(reply, dict) else {}

    async def _read_stderr(self) -> str:
        """The last error of ssh or the node's program before the connection was closed."""
        process, self._process = self._process, None
        if process is None or process.stderr is None:
            return "the connection was closed"
        output = (await process.stderr.read()).decode(errors="replace").strip()
        await process.wait()
        return output.splitlines()[-1][:_MAX_DETAIL] if output else "the connection was closed"
