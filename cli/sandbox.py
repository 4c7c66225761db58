"""Whether this machine can confine renders, as commands check it before they start any."""

import typer

from workers.sandbox.confinement import Control, controls_to_leave_out


def find_missing_controls(*, required: bool) -> frozenset[Control]:
    """The controls that this machine lacks. Warns about each on standard error.

    Raises SandboxUnavailable if one is missing and the sandbox is `required`.
    """
    missing = controls_to_leave_out(required=required)
    for control, reason in missing.items():
        typer.echo(f"Warning: renders run without the control {control} of the sandbox. {reason}", err=True)
    return frozenset(missing)
