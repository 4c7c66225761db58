"""`bulkhead tickets`: the keys that TLS tickets of a fleet of HAProxy nodes are encrypted with."""

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from cli.errors import BadInput, JobFailed, ServiceUnavailable
from tasks.errors import InvalidInput
from tasks.jobs import open_ledger
from tasks.jobs.rotations import RotationInProgress
from tasks.settings import settings
from workers.tickets.controller import FleetController
from workers.tickets.inventory import InvalidInventory, Inventory
from workers.tickets.monitor import ALARM_INTERVALS, FleetMonitor
from workers.tickets.node.harden import harden_process
from workers.tickets.rotation import RotationRequest, fleet_keyring, missing_keys, spread
from workers.tickets.rotator import RunReport, StaleToken
from workers.tickets.verify import ResumptionCheck, check_resumption

tickets = typer.Typer(help="Rotate the keys of TLS tickets over a fleet of HAProxy nodes.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
NodeName = Annotated[str, typer.Argument(metavar="NODE", help="The node, as ssh knows it.")]

# Characters of a key's name that are shown: enough to tell keys apart.
KEY_NAME_LENGTH = 8

# A ring that is this much younger than an interval counts as due: a timer and the ring's age do not tick alike.
INTERVAL_TOLERANCE = 0.1

NO_NODES = "There is no node. Take one in: bulkhead tickets join NODE HOST:PORT"

T = TypeVar("T")


@tickets.command()
def status(as_json: AsJson = False) -> None:
    """Tell what every node has. Exit code 1 if one does not answer, is behind, or no key came for two intervals."""
    report = _run_controller(lambda office: office.status())
    if as_json:
        typer.echo(json.dumps(_report_as_dict(report)))
    else:
        for line in format_report(report):
            typer.echo(line)
    if wrong := find_problem(report, settings().tickets_interval):
        raise JobFailed(wrong)


@tickets.command()
def rotate(
    due: Annotated[bool, typer.Option("--due", help="Only if the last key is an interval old: for timers.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Even if tickets that are still good are lost.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Three new keys at once, for keys that others saw: all tickets are lost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Catch up nodes that are behind, and push one new key to all. Works without broker and ledger, too.

    Exit code 1 if it was refused, or another rotator was at it; 3 if no node answers.
    """
    chosen = settings()
    least = 0.0 if force or replace else chosen.tickets_lifetime
    if due:
        least = max(least, (1 - INTERVAL_TOLERANCE) * chosen.tickets_interval)
    with _translate_errors():
        if not Inventory.load(chosen.var).nodes:
            raise BadInput(NO_NODES)
    report = _run_controller(lambda office: office.run(RotationRequest(None, min_age=least, replace=replace)))
    if due and report.result == "too-soon":
        report.result = "up-to-date"
    _print_report(report, as_json)


@tickets.command()
def join(
    node: NodeName,
    address: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Where it serves TLS, for `verify`.")],
    as_json: AsJson = False,
) -> None:
    """Take a node into the fleet and bring it the fleet's ring. Whatever it had before is forgotten."""
    var = settings().var
    try:
        roster = Inventory.load(var).with_node(node, address)
    except InvalidInput as error:
        raise BadInput(str(error)) from error
    if node not in Inventory.load(var).nodes:
        _require_answer(node, _run_controller(lambda office: office.forget(node)))
    report = _run_controller(lambda office: office.run(RotationRequest()), roster)
    _require_answer(node, report)
    roster.save(var)
    _print_report(report, as_json)


@tickets.command()
def retire(node: NodeName) -> None:
    """Take a node out of the fleet; it takes a ring of its own, if it answers."""
    var = settings().var
    roster = Inventory.load(var)
    if node not in roster.nodes:
        raise BadInput(f"{node} is not in the fleet. `bulkhead tickets status` shows who is.")
    roster.without_node(node).save(var)
    report = _run_controller(lambda office: office.forget(node))
    if node in report.statuses:
        typer.echo(f"{node} is out and has forgotten the fleet's keys.")
        return
    why = report.unreachable.get(node) or report.failed.get(node)
    typer.echo(f"{node} is out, but may still have the fleet's keys ({why}). If it is not in your hands any more:")
    typer.echo("bulkhead tickets rotate --replace")


@tickets.command()
def verify(
    server_name: Annotated[str | None, typer.Option(help="Name that clients ask for (SNI).")] = None,
    as_json: AsJson = False,
) -> None:
    """Let sessions that began on each node go on at each other one, in TLS 1.2 and 1.3, by real handshakes.

    Exit code 1 unless all did.
    """
    with _translate_errors():
        nodes = Inventory.load(settings().var).nodes
    if not nodes:
        raise BadInput(NO_NODES)
    checks = check_resumption(nodes, server_name=server_name, timeout=settings().tickets_timeout)
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks]))
    else:
        for line in format_resumption_matrix(checks):
            typer.echo(line)
    resumed = sum(check.resumed for check in checks)
    if resumed < len(checks):
        raise JobFailed(f"{resumed} of {len(checks)} sessions went on. `bulkhead tickets status` tells who is behind.")


@tickets.command()
def watch() -> None:
    """Look at the nodes all the time: bring the ring to those that boot, serve metrics, say when no key comes."""
    from workers.tickets.metrics import TicketMetrics

    chosen = settings()
    harden_process()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    metrics = TicketMetrics(time.time)
    if chosen.tickets_metrics_port:
        metrics.serve(chosen.tickets_metrics_port)
    ledger = open_ledger(chosen)
    try:
        with _translate_errors(), suppress(KeyboardInterrupt):
            asyncio.run(FleetMonitor(chosen, ledger.rotations, metrics, time.monotonic).run())
    finally:
        ledger.database.close()


@tickets.command()
def program(target: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")]) -> None:
    """Write the program of a node: one file, which needs nothing but Python 3.11."""
    from workers.tickets.node_archive import build_archive as make

    target.write_bytes(make())
    os.chmod(target, 0o755)  # noqa: PTH101, S103 -- a program, which holds no secret
    typer.echo(f"{target}: install it on every node, as the forced command of the key of this host.")


def format_report(report: RunReport) -> Iterator[str]:
    """Every node in a line."""
    ring = fleet_keyring(report.statuses)
    yield f"{'NODE':<16} {'GENERATION':>10} {'BEHIND':>6} {'AGE':>8}  {'ENCRYPTS':<8} {'NEXT':<8} HAPROXY"
    for node, view in sorted(report.statuses.items()):
        age = "?" if view.key_age is None else f"{view.key_age:.0f} s"
        behind = missing_keys(view, ring) if ring else 0
        keys = f"{view.key_names[1][:KEY_NAME_LENGTH]:<8} {view.key_names[2][:KEY_NAME_LENGTH]:<8}"
        running = "runs" if view.haproxy_running else "is down"
        yield f"{node:<16} {view.generation:>10} {behind:>6} {age:>8}  {keys} {running}"
    for node, why in sorted({**report.unreachable, **report.failed}.items()):
        yield f"{node:<16} {'-':>10} {'-':>6} {'-':>8}  {why}"


def format_resumption_matrix(checks: list[ResumptionCheck]) -> Iterator[str]:
    """From whom (rows) to whom (columns) sessions went on."""
    nodes = list(dict.fromkeys(check.source for check in checks))
    for version in dict.fromkeys(check.version for check in checks):
        yield f"{'TLS ' + version:<16} {' '.join(f'{node[:12]:>12}' for node in nodes)}"
        for source in nodes:
            row = [check for check in checks if (check.version, check.source) == (version, source)]
            yield f"{source:<16} {' '.join(f'{_format_check(check):>12}' for check in row)}"
    yield from dict.fromkeys(check.error for check in checks if check.error)
    yield f"{sum(check.resumed for check in checks)} of {len(checks)} resumed"


def find_problem(report: RunReport, interval: float) -> str:
    """What an operator must look at, in a sentence; empty if all is well."""
    if absent := sorted({**report.unreachable, **report.failed}):
        return f"No sound answer from {', '.join(absent)}. Mend them, or take them out: bulkhead tickets retire NODE"
    if not report.statuses:
        return NO_NODES
    if spread(report.statuses) or fleet_keyring(report.statuses) is None:
        return "Not all nodes have the same ring. Bring it to them: bulkhead tickets rotate"
    ages = [view.key_age for view in report.statuses.values() if view.key_age is not None]
    if ages and min(ages) > ALARM_INTERVALS * interval:
        return f"No key came for {min(ages):.0f} s. Do the clock, the broker and the worker of `tickets` run?"
    return ""


def _format_check(check: ResumptionCheck) -> str:
    return "error" if check.error else "resumed" if check.resumed else "NEW"


def _require_answer(node: str, report: RunReport) -> None:
    if node not in report.statuses or node in report.failed:
        why = report.failed.get(node) or report.unreachable.get(node) or report.reason
        raise ServiceUnavailable(f"{node} is not ready: {why}. What a node needs is told in docs/tickets.md.")


def _print_report(report: RunReport, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_report_as_dict(report)))
    elif not report.is_refused:
        said = {"rotated": "Rotated.", "caught-up": "Caught up.", "up-to-date": "Nothing to do."}.get(report.result, "")
        typer.echo(f"{said} Generation {report.generation}, {report.seconds:.2f} s.".strip())
    for node, why in {**report.unreachable, **report.failed}.items():
        typer.echo(f"{node} was left behind, and is caught up when it answers: {why}", err=True)
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
    chosen = settings()
    ledger = open_ledger(chosen)
    try:
        with _translate_errors():
            office = FleetController(chosen, ledger.rotations, inventory)
            return asyncio.run(operation(office))
    finally:
        ledger.database.close()


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except (RotationInProgress, StaleToken) as error:
        raise JobFailed(str(error)) from error
    except InvalidInventory as error:
        raise BadInput(str(error)) from error
