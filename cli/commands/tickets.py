"""`bulkhead tickets`: rotates the keys that encrypt TLS session tickets on a fleet of HAProxy nodes."""

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from tasks.errors import InvalidInput, JobFailed, NotFound, ServiceUnavailable
from tasks.jobs import open_ledger
from tasks.settings import settings
from workers.tickets.controller import FleetController
from workers.tickets.inventory import Inventory
from workers.tickets.monitor import ALARM_INTERVALS, FleetMonitor
from workers.tickets.node.harden import harden_process
from workers.tickets.rotation import RotationRequest, fleet_keyring, missing_keys, spread
from workers.tickets.rotator import RunReport
from workers.tickets.verify import ResumptionCheck, check_resumption

tickets = typer.Typer(help="Rotate TLS ticket keys across a fleet of HAProxy nodes.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
NodeName = Annotated[str, typer.Argument(metavar="NODE", help="The host name of the node in ssh's configuration.")]

# Characters printed of a key's name: enough to tell keys apart.
KEY_NAME_LENGTH = 8

# Fraction of the interval by which a rotation may be early: a timer and the age of a key do not run in step.
INTERVAL_TOLERANCE = 0.1

NO_NODES = "The fleet has no nodes. Add one with `bulkhead tickets join NODE HOST:PORT`."

T = TypeVar("T")


@tickets.command()
def status(as_json: AsJson = False) -> None:
    """Show the keys of every node.

    Exit code 1 if a node does not answer or is behind, or if no rotation happened for two intervals.
    """
    report = _run_controller(lambda controller: controller.status())
    if as_json:
        typer.echo(json.dumps(_report_as_dict(report)))
    else:
        for line in format_report(report):
            typer.echo(line)
    if problem := find_problem(report, settings().tickets_interval):
        raise JobFailed(problem)


@tickets.command()
def rotate(
    if_due: Annotated[
        bool, typer.Option("--if-due", help="Rotate only if the newest key is one interval old; for timers.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Rotate even if this makes valid tickets unusable.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace all three keys, after a key leaked: all tickets become unusable.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Update nodes that are behind, then push one new key to all nodes. Works without broker and ledger, too.

    Exit code 1 if the rotation was refused or another one is in progress, 3 if no node answers.
    """
    current = settings()
    min_age = 0.0 if force or replace else current.tickets_lifetime
    if if_due:
        min_age = max(min_age, (1 - INTERVAL_TOLERANCE) * current.tickets_interval)
    if not Inventory.load(current.var).nodes:
        raise InvalidInput(NO_NODES)
    report = _run_controller(lambda controller: controller.run(RotationRequest(None, min_age=min_age, replace=replace)))
    if if_due and report.result == "too-soon":
        report.result = "up-to-date"
    _print_report(report, as_json)


@tickets.command()
def join(
    node: NodeName,
    address: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Where the node serves TLS, for `verify`.")],
    as_json: AsJson = False,
) -> None:
    """Add a node to the fleet and give it the fleet's keys. The keys that it had before are deleted."""
    var = settings().var
    inventory = Inventory.load(var).with_node(node, address)
    if node not in Inventory.load(var).nodes:
        _require_answer(node, _run_controller(lambda controller: controller.forget(node)))
    report = _run_controller(lambda controller: controller.run(RotationRequest()), inventory)
    _require_answer(node, report)
    inventory.save(var)
    _print_report(report, as_json)


@tickets.command()
def retire(node: NodeName) -> None:
    """Remove a node from the fleet. It replaces its keys with random ones, if it answers."""
    var = settings().var
    inventory = Inventory.load(var)
    if node not in inventory.nodes:
        raise NotFound(f"{node} is not in the fleet. `bulkhead tickets status` lists the nodes.")
    inventory.without_node(node).save(var)
    report = _run_controller(lambda controller: controller.forget(node))
    if node in report.statuses:
        typer.echo(f"{node} is removed and has deleted the fleet's keys.")
        return
    reason = report.unreachable.get(node) or report.failed.get(node)
    typer.echo(
        f"{node} is removed, but may still have the fleet's keys ({reason}). If you have lost control of it, run:"
    )
    typer.echo("bulkhead tickets rotate --replace")


@tickets.command()
def verify(
    server_name: Annotated[str | None, typer.Option(help="Server name that clients send (SNI).")] = None,
    as_json: AsJson = False,
) -> None:
    """Check that each node resumes sessions of all others.

    It uses real handshakes in TLS 1.2 and 1.3. Exit code 1 unless all sessions are resumed.
    """
    nodes = Inventory.load(settings().var).nodes
    if not nodes:
        raise InvalidInput(NO_NODES)
    checks = check_resumption(nodes, server_name=server_name, timeout=settings().tickets_timeout)
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks]))
    else:
        for line in format_resumption_matrix(checks):
            typer.echo(line)
    resumed = sum(check.resumed for check in checks)
    if resumed < len(checks):
        raise JobFailed(
            f"{resumed} of {len(checks)} sessions were resumed. `bulkhead tickets status` shows which nodes are behind."
        )


@tickets.command()
def watch() -> None:
    """Monitor the nodes, and give keys to nodes that boot.

    It also serves metrics (BULKHEAD_TICKETS_METRICS_PORT) and warns if rotations stop.
    """
    from workers.tickets.metrics import TicketMetrics

    current = settings()
    harden_process()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    metrics = TicketMetrics(time.time)
    if current.tickets_metrics_port:
        metrics.serve(current.tickets_metrics_port)
    ledger = open_ledger(current)
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(FleetMonitor(current, ledger.rotations, metrics, time.monotonic).run())
    finally:
        ledger.database.close()


@tickets.command()
def program(target: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")]) -> None:
    """Write the program that runs on the nodes.

    It is one file and needs only Python 3.11.
    """
    from workers.tickets.node_archive import build_archive

    target.write_bytes(build_archive())
    os.chmod(target, 0o755)  # noqa: PTH101, S103 -- a program without secrets
    typer.echo(f"{target}: install it on every node as the forced command of this host's SSH key.")


def format_report(report: RunReport) -> Iterator[str]:
    """One line per node."""
    keyring = fleet_keyring(report.statuses)
    yield f"{'NODE':<16} {'GENERATION':>10} {'BEHIND':>6} {'AGE':>8}  {'ENCRYPTS':<8} {'NEXT':<8} HAPROXY"
    for node, status in sorted(report.statuses.items()):
        age = "?" if status.key_age is None else f"{status.key_age:.0f} s"
        behind = missing_keys(status, keyring) if keyring else 0
        keys = f"{status.key_names[1][:KEY_NAME_LENGTH]:<8} {status.key_names[2][:KEY_NAME_LENGTH]:<8}"
        running = "running" if status.haproxy_running else "down"
        yield f"{node:<16} {status.generation:>10} {behind:>6} {age:>8}  {keys} {running}"
    for node, reason in sorted({**report.unreachable, **report.failed}.items()):
        yield f"{node:<16} {'-':>10} {'-':>6} {'-':>8}  {reason}"


def format_resumption_matrix(checks: list[ResumptionCheck]) -> Iterator[str]:
    """Which sessions were resumed, from the node in the row to the node in the column."""
    nodes = list(dict.fromkeys(check.source for check in checks))
    for version in dict.fromkeys(check.version for check in checks):
        yield f"{'TLS ' + version:<16} {' '.join(f'{node[:12]:>12}' for node in nodes)}"
        for source in nodes:
            row = [check for check in checks if (check.version, check.source) == (version, source)]
            yield f"{source:<16} {' '.join(f'{_format_check(check):>12}' for check in row)}"
    yield from dict.fromkeys(check.error for check in checks if check.error)
    yield f"{sum(check.resumed for check in checks)} of {len(checks)} resumed"


def find_problem(report: RunReport, interval: float) -> str:
    """The most urgent problem, as a sentence that says what to do; empty if there is none."""
    if absent := sorted({**report.unreachable, **report.failed}):
        return (
            f"No valid answer from {', '.join(absent)}. Repair these nodes, "
            "or remove them with `bulkhead tickets retire NODE`."
        )
    if not report.statuses:
        return NO_NODES
    if spread(report.statuses) or fleet_keyring(report.statuses) is None:
        return "The nodes have different keys. Run `bulkhead tickets rotate`."
    ages = [status.key_age for status in report.statuses.values() if status.key_age is not None]
    if ages and min(ages) > ALARM_INTERVALS * interval:
        return (
            f"The last rotation was {min(ages):.0f} s ago. Check that the scheduler, the broker "
            "and the worker of the queue `tickets` are running."
        )
    return ""


def _format_check(check: ResumptionCheck) -> str:
    return "error" if check.error else "resumed" if check.resumed else "not resumed"


def _require_answer(node: str, report: RunReport) -> None:
    if node not in report.statuses or node in report.failed:
        reason = report.failed.get(node) or report.unreachable.get(node) or report.reason
        raise ServiceUnavailable(
            f"{node} is not ready: {reason}. See docs/operations/tickets.md for what a node needs."
        )


def _print_report(report: RunReport, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_report_as_dict(report)))
    elif not report.is_refused:
        outcome = {"rotated": "Rotated.", "caught-up": "Updated.", "up-to-date": "Nothing to do."}.get(
            report.result, ""
        )
        typer.echo(f"{outcome} Generation {report.generation}, {report.seconds:.2f} s.".strip())
    for node, reason in {**report.unreachable, **report.failed}.items():
        typer.echo(f"{node} was not updated: {reason} It is updated when it answers.", err=True)
    if report.result == "unreachable":
        raise ServiceUnavailable(report.reason)
    if report.is_refused:
        raise JobFailed(report.reason)


def _report_as_dict(report: RunReport) -> dict[str, Any]:
    return {**asdict(report), "spread": spread(report.statuses)}


def _run_controller(
    operation: Callable[[FleetController], Coroutine[Any, Any, T]], inventory: Inventory | None = None
) -> T:
    harden_process()
    ledger = open_ledger(settings())
    try:
        return asyncio.run(operation(FleetController(settings(), ledger.rotations, inventory)))
    finally:
        ledger.database.close()
