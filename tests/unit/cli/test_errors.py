"""Known faults have a sentence and an exit code: none of them is reported as unexpected."""

import json

import pytest

from cli.commands.dead import UnknownId
from cli.commands.render import OutputDirectoryInUse, RenderFailed
from cli.commands.up import AlreadyRunning, PortInUse
from cli.embedded.ports import PortsExhausted
from cli.embedded.process import NotInstalled, StartFailed
from cli.errors import as_json, describe_error
from cli.options import InvalidOptions
from leaks.errors import BadTarget, TargetFailed, ToolMissing
from tasks.database.errors import LedgerUnavailable, SchemaOutdated
from tasks.errors import BulkheadError
from tasks.jobs.rotations import RotationInProgress
from tasks.messaging.connections import PublishError
from tasks.plan import PlanError
from tasks.presets import UnknownPreset
from tasks.storage.errors import StoreError
from workers.heartbeats.database_nodes import NoWritableNode
from workers.heartbeats.status import LeaseHeld
from workers.render.errors import EngineError
from workers.sandbox.errors import SandboxUnavailable
from workers.tickets.inventory import InvalidInventory
from workers.tickets.rotator import StaleToken

EXIT_CODES = {
    LedgerUnavailable: 3,
    SchemaOutdated: 3,
    StoreError: 3,
    PublishError: 3,
    NoWritableNode: 3,
    NotInstalled: 3,
    StartFailed: 3,
    PortsExhausted: 3,
    EngineError: 3,
    SandboxUnavailable: 3,
    ToolMissing: 3,
    PlanError: 2,
    UnknownPreset: 2,
    InvalidOptions: 2,
    InvalidInventory: 2,
    LeaseHeld: 2,
    UnknownId: 2,
    OutputDirectoryInUse: 2,
    AlreadyRunning: 2,
    PortInUse: 2,
    BadTarget: 2,
    RotationInProgress: 1,
    StaleToken: 1,
    RenderFailed: 1,
    TargetFailed: 1,
}


@pytest.mark.parametrize(("kind", "code"), EXIT_CODES.items(), ids=[kind.__name__ for kind in EXIT_CODES])
def test_given_an_error_that_a_command_may_raise_then_it_is_a_known_one_with_its_exit_code(
    kind: type[Exception], code: int
) -> None:
    assert issubclass(kind, BulkheadError)
    assert kind.exit_code == code


def test_given_a_failed_render_then_json_has_the_code_of_its_cause() -> None:
    error = RenderFailed("The drawing is damaged.", "broken-pdf")

    assert json.loads(json.dumps(as_json(error))) == {
        "error": {"code": "broken-pdf", "detail": "The drawing is damaged."}
    }
    assert describe_error(error) == ("The drawing is damaged.", 1)
