"""The output of `bulkhead tickets`."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cli import app as bulkhead
from cli.commands.tickets import NO_NODES, _print_report, find_problem, format_report, format_resumption_matrix
from tasks.errors import JobFailed
from workers.tickets.inventory import INVENTORY_FILE
from workers.tickets.rotation import NodeStatus
from workers.tickets.rotator import RunReport
from workers.tickets.verify import ResumptionCheck

ROOT = Path(bulkhead.__file__).parents[1]

OLD, MIDDLE, NEW, NEWEST = ("a1" * 16, "b2" * 16, "c3" * 16, "d4" * 16)
FINE = NodeStatus(
    (MIDDLE, NEW, NEWEST), 80, 42, 371.2, haproxy_running=True, token=9, owner="jump:1:2", newest_generation=42
)
BEHIND = replace(FINE, key_names=(OLD, MIDDLE, NEW), generation=41, haproxy_running=False)

STALE_KEYS = (
    "The last rotation was 7201 s ago. "
    "Check that the scheduler, the broker and the worker of the queue `tickets` are running."
)


def test_given_nodes_then_each_has_a_line_with_its_key_names_or_the_reason_for_no_answer() -> None:
    report = RunReport(statuses={"edge2": BEHIND, "edge1": FINE}, unreachable={"edge3": "Connection refused"})

    assert list(format_report(report)) == [
        "NODE             GENERATION BEHIND      AGE  ENCRYPTS NEXT     HAPROXY",
        "edge1                    42      0    371 s  c3c3c3c3 d4d4d4d4 running",
        "edge2                    41      1    371 s  b2b2b2b2 c3c3c3c3 down",
        "edge3                     -      -        -  Connection refused",
    ]


@pytest.mark.parametrize(
    ("report", "problem"),
    [
        (RunReport(statuses={"a": FINE, "b": FINE}), ""),
        (RunReport(), NO_NODES),
        (
            RunReport(statuses={"a": FINE}, unreachable={"c": "x"}, failed={"b": "y"}),
            "No valid answer from b, c. Repair these nodes, or remove them with `bulkhead tickets retire NODE`.",
        ),
        (
            RunReport(statuses={"a": FINE, "b": BEHIND}),
            "The nodes have different keys. Run `bulkhead tickets rotate`.",
        ),
        (
            RunReport(statuses={"a": replace(FINE, key_age=7201.0)}),
            STALE_KEYS,
        ),
    ],
)
def test_given_a_problem_then_the_message_says_what_to_do(report: RunReport, problem: str) -> None:
    assert find_problem(report, 3600) == problem


def test_given_a_refused_rotation_then_only_the_reason_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(JobFailed, match=r"^Wait 297 s\.$"):
        _print_report(RunReport(result="too-soon", reason="Wait 297 s."), as_json=False)

    assert capsys.readouterr().out == ""


def test_given_handshakes_then_there_is_a_table_for_each_version_and_a_total() -> None:
    checks = [
        ResumptionCheck("edge1", "edge1", "1.2", resumed=True),
        ResumptionCheck("edge1", "edge2", "1.2", resumed=False),
        ResumptionCheck("edge2", "edge1", "1.2", resumed=False, error="edge2: refused"),
        ResumptionCheck("edge2", "edge2", "1.2", resumed=False, error="edge2: refused"),
    ]

    assert list(format_resumption_matrix(checks)) == [
        "TLS 1.2                 edge1        edge2",
        "edge1                 resumed  not resumed",
        "edge2                   error        error",
        "edge2: refused",
        "1 of 4 resumed",
    ]


@pytest.mark.parametrize("command", [["rotate"], ["verify"], ["status"]])
def test_given_an_empty_fleet_then_the_error_says_how_to_add_a_node(command: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "BULKHEAD_VAR": str(tmp_path), "BULKHEAD_LEDGER_URL": f"sqlite:///{tmp_path}/l.db"}

    done = subprocess.run(
        [sys.executable, "-m", "cli", "tickets", *command],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )

    assert done.stderr == f"{NO_NODES}\n"
    assert done.returncode == (1 if command == ["status"] else 2)


@pytest.mark.parametrize("command", [["join", "edge1", "10.0.0.1:443"], ["retire", "edge1"], ["status"]])
def test_given_a_broken_fleet_file_then_the_error_says_what_to_do(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / INVENTORY_FILE
    file.parent.mkdir()
    file.write_text('{"nodes": ["edge1"]}')
    environment = {**os.environ, "BULKHEAD_VAR": str(tmp_path), "BULKHEAD_LEDGER_URL": f"sqlite:///{tmp_path}/l.db"}

    done = subprocess.run(
        [sys.executable, "-m", "cli", "tickets", *command],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )

    assert done.returncode == 2
    assert done.stderr.startswith(f"{file} is not a valid list of nodes (")
    assert done.stderr.endswith("Correct it, or remove it and join the nodes.\n")
