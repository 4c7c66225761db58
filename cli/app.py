"""The command line: one module of `commands/` for each command, imported only when the command is called."""

import os
import signal
import sys
from importlib import import_module
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperGroup

from cli.errors import describe_error


class Entry(NamedTuple):
    """The module of a command, and its line in `bulkhead --help`."""

    module: str
    summary: str


COMMANDS = {
    "up": Entry("cli.commands.up", "Run broker, web tier and workers on this machine until Ctrl-C."),
    "render": Entry("cli.commands.render", "Render FILE into layered WebP on this machine."),
    "plan": Entry("cli.commands.plan", "Estimate the cost of rendering FILE from its header."),
    "doctor": Entry("cli.commands.doctor", "Check everything that the platform needs."),
    "dead": Entry("cli.commands.dead", "List dead jobs and rejected messages; replay or drop them."),
    "capacity": Entry("cli.commands.capacity", "Compute how many workers a queue needs."),
    "reconcile": Entry("cli.commands.reconcile", "Compare ledger and store, and repair the differences."),
    "heartbeats": Entry("cli.commands.heartbeats", "Show the status of the coalescer; reset its position."),
    "tickets": Entry("cli.commands.tickets", "Rotate TLS ticket keys across a fleet of HAProxy nodes."),
    "leaks": Entry("cli.commands.leaks", "Hunt for memory leaks; report those of past renders."),
    "migrate": Entry("cli.commands.migrate", "Create or upgrade the tables of ledger and heartbeats."),
}


# Drawing boxes around help takes longer than everything else in it.
PLAIN = None


class LazyGroup(TyperGroup):
    """Lists every command by its summary and imports only the one that is called, so that help is fast."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """The command that `args` name, imported."""
        name, _stub, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else None, rest


def load_command(name: str) -> Any:
    """The command `name`, imported."""
    command = getattr(import_module(COMMANDS[name].module), name)
    if not isinstance(command, typer.Typer):
        function, command = command, typer.Typer(add_completion=False)
        command.command(name)(function)
    command.rich_markup_mode = PLAIN
    return typer.main.get_command(command)


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=PLAIN)


def _register(name: str, entry: Entry) -> None:
    @app.command(name, help=entry.summary)
    def stub() -> NoReturn:
        raise NotImplementedError(f"{name} is loaded by LazyGroup.resolve_command")


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
        bool, typer.Option("--debug", envvar="BULKHEAD_DEBUG", help="Show tracebacks and the output of native code.")
    ] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Render CAD blueprints into layered WebP. Native code that may leak or crash runs in limited child processes."""
    if debug:
        os.environ["BULKHEAD_DEBUG"] = "1"


def main() -> None:
    """Run the command line: the only place that turns errors into sentences and exit codes."""
    # SIGINT too: a shell script that starts a process in the background ignores SIGINT for it, and Python keeps that.
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


def _exit_on_signal(number: int, _frame: object) -> NoReturn:
    """Exit on a signal through SystemExit, so that context managers clean up."""
    sys.exit(128 + number)
