"""A worker whose renders run under memray, started by the script: captures of renders survive their end and SIGKILL."""

import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import memray
import pytest

from cli.embedded.programs import worker_program
from tasks.jobs import State
from tasks.messaging.topology import RENDER
from tests.integration.jobs.renders import HEAVY, Renders
from tests.services.faults import leaky
from tests.services.platform import ROOT, Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

SIDE = 188
LEAK = SIDE * SIDE * 8


@pytest.fixture
def captures(platform: Platform, tmp_path: Path) -> Path:
    """The folder with the captures of a running worker."""
    folder = tmp_path / "captures"
    environment = platform.environment_with(child_niceness="0", leak_sample_every="0")
    environment["PYTHON"] = sys.executable
    program = worker_program("render1", RENDER, platform.broker_url, environment, platform.directory)
    script = ("sh", str(ROOT / "profiling" / "worker.sh"), str(folder))
    options = (*program.command[program.command.index("worker") + 1 :], "--include", leaky.__name__)
    platform.start(replace(program, command=(*script, *options)))
    assert f"render1@{socket.gethostname()}" in options
    return folder


def left_by_painting(capture: Path) -> int:
    """Bytes that the leaky job allocated for pictures and did not free."""
    with memray.FileReader(capture) as reader:
        sizes = [
            record.size
            for record in reader.get_leaked_allocation_records(merge_threads=True)
            if record.size >= LEAK and any(frame[0] == "_paint" for frame in record.hybrid_stack_trace())
        ]
    return sum(sizes)


def test_given_renders_that_end_and_one_that_is_killed_then_their_captures_are_complete(
    captures: Path, platform: Platform, sent: Renders
) -> None:
    leaking, clean = (sent.finished(leaky.publish(sent.publisher, side=SIDE, leaks=leaks)) for leaks in (True, False))
    assert (leaking.state, clean.state) == (State.SUCCEEDED, State.SUCCEEDED)
    clean_bytes, leaked_bytes = sorted(filter(None, map(left_by_painting, captures.glob("render.bin.*"))))
    assert leaked_bytes - clean_bytes == LEAK  # both contain what ImageMagick allocates once

    job = sent.submit(HEAVY)
    killed = sent.render_at(job)
    os.kill(killed, signal.SIGKILL)

    assert sent.finished(job).attempt == 2
    with memray.FileReader(captures / f"render.bin.{killed}") as reader:
        assert reader.metadata.peak_memory > 0
        assert any(reader.get_allocation_records())
    assert "Renders run under" in platform.process("render1").log.read_text()
