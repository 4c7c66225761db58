"""The command line, assembled: one module of `commands/` a command, loaded when it is called."""

import os
import signal
import sys
from importlib import import_module
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperGroup

from cli.errors import CommandError


class Entry(NamedTuple):
    """Where a command lives, and its line in `bulkhead --help`."""

    module: str
    summary: str


COMMANDS = {
    "up": Entry("cli.commands.up", "Run broker, web tier and workers on this machine until Ctrl-C."),
    "render": Entry("cli.commands.render", "Render FILE into layered WebP below DIR, here and now."),
    "plan": Entry("cli.commands.plan", "Tell what rendering FILE would cost, from its header."),
    "doctor": Entry("cli.commands.doctor", "Check everything that the platform needs; say how to mend it."),
    "dead": Entry("cli.commands.dead", "Look at dead jobs and refused messages; replay or drop them."),
    "capacity": Entry("cli.commands.capacity", "Tell how many workers a lane needs, from its last renders."),
    "reconcile": Entry("cli.commands.reconcile", "Compare ledger and store, and mend what they do not agree on."),
    "heartbeats": Entry("cli.commands.heartbeats", "See how heartbeats are coalesced; start over."),
    "tickets": Entry("cli.commands.tickets", "Rotate the keys of TLS tickets over a fleet of HAProxy nodes."),
    "leaks": Entry("cli.commands.leaks", "Hunt what jobs leave behind: a verdict, a name and a number."),
    "migrate": Entry("cli.commands.migrate", "Create or upgrade the tables of ledger and heartbeats."),
}


# Boxes around help cost more time than all the rest of it.
PLAIN = None


class LazyGroup(TyperGroup):
    """Knows every command by its summary, and imports only the one that is called: help answers at once."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """The command that `args` name, loaded."""
        name, _stub, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else None, rest


def load_command(name: str) -> Any:
    """The command `name`, imported."""
    found = getattr(import_module(COMMANDS[name].module), name)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False)
        found.command(name)(function)
    found.rich_markup_mode = PLAIN
    return typer.main.get_command(found)


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=PLAIN)


def _register(name: str, entry: Entry) -> None:
    @app.command(name, help=entry.summary)
    def stub() -> NoReturn:
        raise NotImplementedError(f"{name} is loaded by Commands.resolve_command")


for _name, _entry in COMMANDS.items():
    _register(_name, _entry)


def _print_version(requested: bool) -> None:
    if not requested:
        return
    from importlib.metadata import version

    from tasks.renders import ENGINE_VERSION

    typer.echo(f"bulkhead {version('bulkhead')}, engine {ENGINE_VERSION}")
    raise typer.Exit


@app.callback(
    epilog="Exit codes: 0 done, 1 the job failed, 2 bad usage or input, 3 a service is missing.\n\n"
    "Try: bulkhead render floorplan.dxf --out floorplan"
)
def bulkhead(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="BULKHEAD_DEBUG", help="Show tracebacks and what native code says.")
    ] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Tell the version and leave.")
    ] = False,
) -> None:
    """Runs leaky native code as jobs that cannot sink the ship: blueprints in, layered WebP out."""
    if debug:
        os.environ["BULKHEAD_DEBUG"] = "1"


def main() -> None:
    """Run the command line. The one place where errors become sentences and exit codes."""
    # SIGINT as well: where a script started us in the background it is ignored, and Python would leave it at that.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_on_signal)
    try:
        app(prog_name="bulkhead")
    except Exception as error:
        if os.environ.get("BULKHEAD_DEBUG"):
            raise
        message, code = describe_error(error)
        typer.echo(message, err=True)
        sys.exit(code)


def describe_error(error: Exception) -> tuple[str, int]:
    """What to tell the user about `error`, and the exit code."""
    from pydantic import ValidationError

    if isinstance(error, CommandError):
        return error.message, error.exit_code
    if isinstance(error, ValidationError) and error.title == "Settings":
        problems = "; ".join(
            f"BULKHEAD_{'_'.join(str(part) for part in each['loc'][:1]).upper()}: {each['msg']}"
            for each in error.errors(include_input=False)
        )
        return f"A setting is wrong. {problems}. Correct the environment or var/bulkhead.env.", 2
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}. Check the path and its permissions.", 2
    return (
        f"Something unexpected happened ({type(error).__name__}: {error}). Run it again with --debug to see where.",
        1,
    )


def _exit_on_signal(number: int, _frame: object) -> NoReturn:
    """Die of a signal in good order: what is under way is cleaned up."""
    sys.exit(128 + number)
