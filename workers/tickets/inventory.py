"""The nodes of the fleet: a file on the jump host, so that rotation works without ledger and broker."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from tasks.errors import InvalidInput
from tasks.utils.files import write_atomically
from workers.tickets.ssh import NODE_NAME

INVENTORY_FILE = Path("tickets/fleet.json")

Name = Annotated[str, StringConstraints(pattern=f"^{NODE_NAME.pattern}$")]
Address = Annotated[str, StringConstraints(pattern=r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$")]


class InvalidInventory(InvalidInput):
    """The list of nodes cannot be read."""

    code = "invalid-inventory"

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path} is not a valid list of nodes ({problem}). Correct it, or remove it and join the nodes."
        )


class InvalidNode(InvalidInput):
    """The name or address of a node is not valid."""

    code = "invalid-node"


class Inventory(BaseModel):
    """Nodes by the name that ssh uses for them, and the address at which each serves TLS (`host:port`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: dict[Name, Address] = {}

    @classmethod
    def load(cls, var: Path) -> "Inventory":
        """The list below `var`; empty if there is no file. Raises InvalidInventory."""
        path = var / INVENTORY_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except ValidationError as error:
            raise InvalidInventory(path, error.errors(include_url=False)[0]["msg"]) from None

    def save(self, var: Path) -> None:
        """Replace the file atomically."""
        path = var / INVENTORY_FILE
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, json.dumps(self.model_dump(), indent=2) + "\n", durable=True)

    def with_node(self, node: str, address: str) -> "Inventory":
        """A copy with one more node. Raises InvalidNode."""
        try:
            return Inventory(nodes={**self.nodes, node: address})
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]["msg"]
            raise InvalidNode(f"{node} at {address}: {problem}. Try: edge1 10.0.0.1:443") from None

    def without_node(self, node: str) -> "Inventory":
        """A copy without a node."""
        return Inventory(nodes={name: address for name, address in self.nodes.items() if name != node})
