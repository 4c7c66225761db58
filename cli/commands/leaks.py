"""`bulkhead leaks`: hunt what jobs leave behind."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.errors import BadInput, CommandError, JobFailed, ServiceUnavailable
from leaks.errors import BadTarget, HuntError, ToolMissing
from leaks.report import Report
from leaks.run import ProgressCallback
from tasks.jobs.leak_detection import MAX_JOBS, REPORTS_PREFIX, Confidence, Finding, find_leaks, residues
from tasks.settings import DEFAULT_VAR, settings

leaks = typer.Typer(help="Hunt what jobs leave behind, and see what renders left.", no_args_is_help=True)

Instrument = Literal["auto", "gauge", "survivors", "lsan", "memray", "memcheck", "massif", "footprint"]

DEFAULT_JOBS = 50
MAX_HUNT_JOBS = 60_000

# Roots that are printed; the report has them all.
MAX_ROOTS_SHOWN = 3

CACHE_DIRECTORY = "leaks"

_ROW = "{:<9}{:<8}{:<11}{:<9}{:>6}{:>9}{:>15}{:>13}"


@leaks.callback()
def _leaks() -> None:
    """Hunt what jobs leave behind: a verdict, a name and a number."""


@leaks.command()
def hunt(
    target: Annotated[str, typer.Argument(metavar="FILE|MODULE:FUNCTION", help="A blueprint, or a job to call.")],
    instrument: Annotated[Instrument, typer.Option(help="What to hunt with.")] = "auto",
    jobs: Annotated[int, typer.Option(min=1, max=MAX_JOBS, help="How often the job runs.")] = DEFAULT_JOBS,
    out: Annotated[Path, typer.Option(file_okay=False, help="Directory for the reports.")] = Path("hunt"),
    width: Annotated[int, typer.Option(min=0, max=16_383, help="Of the render; 0: a small one.")] = 0,
    then: Annotated[str, typer.Option(metavar="MODULE:FUNCTION", help="Called by each job after its render.")] = "",
    errors: Annotated[bool, typer.Option("--errors", help="Jobs may fail: hunt on their error path.")] = False,
    limit: Annotated[float, typer.Option(min=1, help="Seconds that each process may take.")] = 600,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Run a job again and again and tell what it leaves behind, who lost it, and how much.

    Writes report.html, report.json and junit.xml below --out. Exit code 0 if nothing is lost, 1 if something is or a
    job fails, 2 if the target is wrong, 3 if a tool is missing.

    Example: bulkhead leaks hunt floorplan.dxf --jobs 50 --out hunt
    """
    from leaks.hunt import hunt as run
    from leaks.report.html import write_html
    from leaks.report.serialize import as_dict, write_json, write_junit
    from leaks.target import Subject

    subject = Subject(target, {"width": width} if width else {}, then, errors)
    cache = Path(os.environ.get("BULKHEAD_VAR") or DEFAULT_VAR) / CACHE_DIRECTORY
    try:
        with _progress_bar() as tell:
            report = run(subject, instrument, jobs=jobs, out=out, cache=cache, timeout=limit, on_progress=tell)
    except HuntError as error:
        if as_json:
            typer.echo(json.dumps({"error": {"detail": str(error)}}))
        raise _as_command_error(error) from error
    write_html(report, out / "report.html")
    write_json(report, out / "report.json")
    write_junit(report, out / "junit.xml")
    if as_json:
        typer.echo(json.dumps(as_dict(report)))
    else:
        _print_report(report, out)
    if report.verdict.kind.is_fault:
        raise typer.Exit(1)


@leaks.command()
def status(
    jobs: Annotated[int, typer.Option(min=1, max=MAX_JOBS, help="How many of the last jobs to look at.")] = MAX_JOBS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Tell what the last renders left behind in their workers, by kind of drawing and engine version.

    Exit code 0, or 1 if a leak is certain, 3 if ledger or store do not answer.

    Example: bulkhead leaks status --json
    """
    from tasks.jobs import LedgerUnavailable, latest_attempts, open_ledger
    from tasks.storage import StoreError, open_store

    chosen = settings()
    ledger = open_ledger(chosen)
    try:
        findings = find_leaks(residues(latest_attempts(ledger.database, jobs)))
        reports = list(open_store(chosen.store_url).list(REPORTS_PREFIX))
    except (LedgerUnavailable, StoreError) as error:
        raise ServiceUnavailable(str(error)) from error
    finally:
        ledger.database.close()
    if as_json:
        typer.echo(json.dumps({"findings": [asdict(one) for one in findings], "reports": reports}))
    else:
        _print_status(findings, reports)
    if any(one.confidence is Confidence.CERTAIN for one in findings):
        raise typer.Exit(1)


def _print_status(findings: list[Finding], reports: list[str]) -> None:
    if not findings:
        typer.echo("No render was measured yet.")
        return
    typer.echo(_ROW.format("drawing", "engine", "leak", "seen by", "jobs", "leaving", "bytes a job", "files a job"))
    for one in findings:
        gauge = one.resource if one.is_suspected else ""
        numbers = (one.jobs, one.leaking_jobs, f"{one.leaked_bytes:,}", f"{one.leaked_files:.2f}")
        typer.echo(_ROW.format(one.format, one.engine, one.confidence, gauge, *numbers))
    for report in reports:
        typer.echo(f"  {report}: what a job did not free, in the store")


def _as_command_error(error: HuntError) -> CommandError:
    kind = {BadTarget: BadInput, ToolMissing: ServiceUnavailable}.get(type(error), JobFailed)
    return kind(str(error))


def _print_report(report: Report, out: Path) -> None:
    verdict = report.verdict
    colour = typer.colors.RED if verdict.kind.is_fault else typer.colors.GREEN
    typer.echo(f"{typer.style(verdict.kind.upper(), fg=colour, bold=True)}  {report.subject}: {verdict.explanation}")
    for root in report.roots[:MAX_ROOTS_SHOWN]:
        born = "" if root.allocated_by == root.lost_by else f", allocated by {root.allocated_by}"
        each = f"{root.bytes / (verdict.measured or 1):,.0f} bytes a job"
        if root.blocks:  # massif counts none
            each += f" in {root.blocks:,} blocks of {root.count:,} roots"
        typer.echo(f"  lost by {root.lost_by}{born}: {each}")
    typer.echo(f"  {report.instrument}, {report.jobs} jobs, {report.seconds:.1f} s; {out / 'report.html'}")


@contextmanager
def _progress_bar() -> Iterator[ProgressCallback]:
    """Show on standard error which job runs, if somebody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def tell(phase: str, done: int, jobs: int) -> None:
            bar.update(task, description=phase, completed=done, total=jobs)

        yield tell
