"""`bulkhead doctor --attack`: attacks the sandbox of this machine, and prints what held."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import typer

from cli.attack.stage import prepared_stage, real_broker_port, real_targets
from cli.attack.suite import Suite, Verdict
from tasks.errors import ServiceUnavailable
from tasks.settings import Settings, settings
from workers.render.sandboxed import ZYGOTE
from workers.sandbox.attacks import ATTACKS, PROGRAM_ATTACKS
from workers.sandbox.confinement import Control, available
from workers.sandbox.confinement.landlock import abi
from workers.sandbox.leaf_cgroup import delegate_cgroup

HELD, GOT_THROUGH, NOT_APPLICABLE = "held", "NOT HELD", "n/a"

# What Landlock lacks before a version, and what stops it there.
LANDLOCK_VERSIONS = {
    2: "moving files between directories",
    3: "truncating files (denied by seccomp)",
    4: "TCP (denied by seccomp)",
    5: "ioctl on devices (denied by seccomp)",
    6: "signals and abstract sockets (denied by seccomp)",
}


class AttackFailed(ServiceUnavailable):
    """The attacks could not be run. Correct what the message names and repeat the command."""

    code = "sandbox-unavailable"


def attack(*, as_json: bool) -> None:
    """Run all attacks. Exit code 0 if all held, 1 if one got through, 3 if the sandbox is unavailable."""
    if missing := missing_controls():
        raise AttackFailed(f"The sandbox is not available: {' '.join(missing.values())}")
    delegate_cgroup()
    try:
        verdicts = _run(settings())
    except OSError as error:
        raise AttackFailed(f"The sandbox could not start a process: {error}. Run `bulkhead doctor`.") from error
    if as_json:
        typer.echo(json.dumps([asdict(verdict) for verdict in verdicts]))
    else:
        _print_table(verdicts)
    if any(verdict.held is False for verdict in verdicts):
        raise typer.Exit(1)


def missing_controls() -> dict[Control, str]:
    """The controls that this system does not have, and for each the sentence that says what is missing."""
    return {control: sentence for control, sentence in available().items() if sentence}


def describe_landlock() -> str:
    """The version of Landlock, and what it leaves to seccomp."""
    version = abi()
    lacking = [what for since, what in LANDLOCK_VERSIONS.items() if version < since]
    return f"Landlock {version}" + (f" without {', '.join(lacking)}" if lacking else "")


def _run(current: Settings) -> list[Verdict]:
    parent = current.var if current.var.is_dir() else Path(tempfile.gettempdir())
    with (
        prepared_stage(parent, real_targets(current), real_broker_port(current)) as stage,
        _progress_bar(len(ATTACKS) + len(PROGRAM_ATTACKS) + 1) as on_verdict,
    ):
        return Suite(stage, ZYGOTE).run(on_verdict=on_verdict)


def _print_table(verdicts: list[Verdict]) -> None:
    width = max(len(verdict.name) for verdict in verdicts)
    typer.echo(f"{'':<8}  {'attack':<{width}}  {'end':<18}  control")
    for verdict in verdicts:
        word, colour = _word(verdict)
        typer.echo(
            f"{typer.style(f'{word:<8}', fg=colour)}  {verdict.name:<{width}}  {verdict.end:<18}  {verdict.control}"
        )
    got_through = [verdict for verdict in verdicts if verdict.held is False]
    held = sum(verdict.held is True for verdict in verdicts)
    typer.echo(f"\n{held} of {held + len(got_through)} attacks held. {describe_landlock()}.")
    for verdict in got_through:
        typer.echo(f"NOT HELD: {verdict.name}. {verdict.intent} The control is: {verdict.control}.", err=True)
    if got_through:
        typer.echo("Do not render files of strangers here. Update the kernel, or report this with --json.", err=True)


def _word(verdict: Verdict) -> tuple[str, str]:
    if verdict.held is None:
        return NOT_APPLICABLE, typer.colors.YELLOW
    return (HELD, typer.colors.GREEN) if verdict.held else (GOT_THROUGH, typer.colors.RED)


@contextmanager
def _progress_bar(total: int) -> Iterator[Callable[[Verdict], None]]:
    """Show progress on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)

        def update(verdict: Verdict) -> None:
            bar.update(task, advance=1, description=verdict.name)

        yield update
