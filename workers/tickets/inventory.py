"""Which nodes there are: a file on the jump host, since rotation works without ledger and broker, too."""

import json
import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from workers.tickets.ssh import NODE_NAME

INVENTORY_FILE = Path("tickets/fleet.json")

Name = Annotated[str, StringConstraints(pattern=f"^{NODE_NAME.pattern}$")]
Address = Annotated[str, StringConstraints(pattern=r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$")]


class InvalidInventory(Exception):
    """The list of nodes cannot be read."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} is no list of nodes ({problem}). Correct it, or remove it and join the nodes again.")


class Inventory(BaseModel):
    """Nodes by the name that ssh knows them by, and where each serves TLS (`host:port`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: dict[Name, Address] = {}

    @classmethod
    def load(cls, var: Path) -> "Inventory":
        """The list below `var`; empty if there is none. Raises BadRoster."""
        path = var / INVENTORY_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except ValidationError as error:
            raise InvalidInventory(path, error.errors(include_url=False)[0]["msg"]) from None

    def save(self, var: Path) -> None:
        """Keep it, whole or not at all."""
        path = var / INVENTORY_FILE
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.write(json.dumps(self.model_dump(), indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    def with_node(self, node: str, address: str) -> "Inventory":
        """With one more node. Raises pydantic.ValidationError for what is no name or no address."""
        return Inventory(nodes={**self.nodes, node: address})

    def without_node(self, node: str) -> "Inventory":
        """Without a node."""
        return Inventory(nodes={name: address for name, address in self.nodes.items() if name != node})
