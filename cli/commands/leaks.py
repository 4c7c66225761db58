"""`bulkhead leaks`: hunt for memory leaks in jobs, and report the leaks of past renders."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.errors import as_json as error_as_json
from leaks.report import Report
from leaks.run import ProgressCallback
from tasks.errors import BulkheadError
from tasks.jobs.leak_detection import MAX_JOBS as LATEST_JOBS
from tasks.jobs.leak_detection import REPORTS_PREFIX, Confidence, Finding, find_leaks, residues
from tasks.settings import DEFAULT_VAR, settings

leaks = typer.Typer(help="Hunt for memory leaks in jobs, and report those of past renders.", no_args_is_help=True)

Instrument = Literal["auto", "gauge", "survivors", "lsan", "memray", "memcheck", "massif", "footprint"]

DEFAULT_JOBS = 50
MAX_JOBS = 60_000

# Roots that are printed; the report has all of them.
MAX_ROOTS_SHOWN = 3

CACHE_DIRECTORY = "leaks"

_ROW = "{:<9}{:<8}{:<11}{:<9}{:>6}{:>9}{:>15}{:>13}"


@leaks.callback()
def _leaks() -> None:
    """Hunt for memory leaks in jobs, and report those of past renders."""


@leaks.command()
def hunt(
    target: Annotated[str, typer.Argument(metavar="FILE|MODULE:FUNCTION", help="A blueprint, or a function to call.")],
    instrument: Annotated[
        Instrument, typer.Option(help="auto adds slower instruments until the leak is located.")
    ] = "auto",
    jobs: Annotated[int, typer.Option(min=1, max=MAX_JOBS, help="How many times the job runs.")] = DEFAULT_JOBS,
    out: Annotated[Path, typer.Option(file_okay=False, help="Directory for the reports.")] = Path("hunt"),
    width: Annotated[int, typer.Option(min=0, max=16_383, help="Width of the render, pixels; 0: a small default.")] = 0,
    then: Annotated[str, typer.Option(metavar="MODULE:FUNCTION", help="Function called after each render.")] = "",
    errors: Annotated[
        bool, typer.Option("--errors", help="Continue when a job raises an error, to find leaks on the error path.")
    ] = False,
    limit: Annotated[float, typer.Option(min=1, help="Time limit of each process, seconds.")] = 600,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Run a job many times and report its leaks.

    The report names the functions that leak, and the bytes per job. Writes report.html, report.json and junit.xml to
    --out. Exit code 0 if there is no leak, 1 if there is one or a job fails, 2 if the target is wrong, 3 if a tool is
    missing.

    Example: bulkhead leaks hunt floorplan.dxf --jobs 50 --out hunt
    """
    from leaks.hunt import hunt as run_hunt
    from leaks.report.html import write_html
    from leaks.report.serialize import as_dict, write_json, write_junit
    from leaks.target import Subject

    subject = Subject(target, {"width": width} if width else {}, then, errors)
    cache = Path(os.environ.get("BULKHEAD_VAR") or DEFAULT_VAR) / CACHE_DIRECTORY
    try:
        with _progress_bar() as on_progress:
            report = run_hunt(
                subject, instrument, jobs=jobs, out=out, cache=cache, timeout=limit, on_progress=on_progress
            )
    except BulkheadError as error:
        if as_json:
            typer.echo(json.dumps(error_as_json(error)))
        raise
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
    jobs: Annotated[int, typer.Option(min=1, max=MAX_JOBS, help="Number of latest jobs to evaluate.")] = LATEST_JOBS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Report the leaks of the latest renders.

    Findings are grouped by format of the drawing and engine version. Exit code 0 if no leak is certain, 1 if one is,
    3 if the ledger or the store does not answer.

    Example: bulkhead leaks status --json
    """
    from tasks.jobs import latest_attempts, open_ledger
    from tasks.storage import open_store

    current = settings()
    ledger = open_ledger(current)
    try:
        findings = find_leaks(residues(latest_attempts(ledger.database, jobs)))
        reports = list(open_store(current.store_url).list(REPORTS_PREFIX))
    finally:
        ledger.database.close()
    if as_json:
        typer.echo(json.dumps({"findings": [asdict(finding) for finding in findings], "reports": reports}))
    else:
        _print_status(findings, reports)
    if any(finding.confidence is Confidence.CERTAIN for finding in findings):
        raise typer.Exit(1)


def _print_status(findings: list[Finding], reports: list[str]) -> None:
    if not findings:
        typer.echo("No render has been measured yet.")
        return
    typer.echo(_ROW.format("format", "engine", "leak", "resource", "jobs", "leaking", "bytes/job", "files/job"))
    for finding in findings:
        resource = finding.resource if finding.is_suspected else ""
        numbers = (finding.jobs, finding.leaking_jobs, f"{finding.leaked_bytes:,}", f"{finding.leaked_files:.2f}")
        typer.echo(_ROW.format(finding.format, finding.engine, finding.confidence, resource, *numbers))
    for report in reports:
        typer.echo(f"  {report}: report in the store about memory that a job did not free")


def _print_report(report: Report, out: Path) -> None:
    verdict = report.verdict
    colour = typer.colors.RED if verdict.kind.is_fault else typer.colors.GREEN
    typer.echo(f"{typer.style(verdict.kind.upper(), fg=colour, bold=True)}  {report.subject}: {verdict.explanation}")
    for root in report.roots[:MAX_ROOTS_SHOWN]:
        allocated = "" if root.allocated_by == root.leaked_by else f", allocated by {root.allocated_by}"
        amount = f"{root.bytes / (verdict.measured or 1):,.0f} bytes per job"
        if root.blocks:  # massif does not count blocks
            amount += f", {root.blocks:,} blocks from {root.count:,} roots in total"
        typer.echo(f"  leaked by {root.leaked_by}{allocated}: {amount}")
    typer.echo(f"  {report.instrument}, {report.jobs} jobs, {report.seconds:.1f} s; {out / 'report.html'}")


@contextmanager
def _progress_bar() -> Iterator[ProgressCallback]:
    """Show on standard error which job runs, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def on_progress(phase: str, done: int, jobs: int) -> None:
            bar.update(task, description=phase, completed=done, total=jobs)

        yield on_progress
