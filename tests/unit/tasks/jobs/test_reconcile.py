"""Differences between ledger and store, and their repair."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tasks.jobs import Claimed, Job, Ledger, State
from tasks.jobs.reconcile import Differences, compare, repair
from tasks.renders import RenderOptions, artifact_key, artifact_prefix, source_key
from tasks.storage import MANIFEST, Store

NOW = 1_800_000_000.0
SECRET = "a secret of the test"
ROOT = Path(__file__).resolve().parents[4]


def add(ledger: Ledger, store: Store, **fields: Any) -> Job:
    """Add a job with its drawing."""
    job_id = str(uuid4())
    job = Job(job_id, "acme", State.QUEUED, source_key("acme", job_id), "", {}, created_at=NOW, updated_at=NOW)
    job = replace(job, **fields)
    ledger.jobs.accept(job)
    store.put(job.source, b"a drawing")
    return job


def put_outputs(store: Store, artifact: str, *names: str) -> str:
    """Put outputs into the store. Returns their prefix."""
    prefix = artifact_prefix("acme", artifact)
    for name in names or ("preview.webp", "tiles_files/0/0_0.webp", MANIFEST):
        store.put(f"{prefix}/{name}", b"{}")
    return prefix


def objects(store: Store) -> set[str]:
    return {*store.list("sources"), *store.list("artifacts")}


def test_given_jobs_with_their_objects_then_ledger_and_store_agree(ledger: Ledger, store: Store) -> None:
    add(ledger, store, state=State.SUCCEEDED, artifact="a" * 64)
    put_outputs(store, "a" * 64)
    add(ledger, store)
    add(ledger, store, state=State.FAILED)
    add(ledger, store, state=State.SUCCEEDED)  # its outputs have expired
    store.put("sources/acme/library/pump.dxf", b"put there by its owner")

    assert not compare(ledger, store, SECRET)


def test_given_outputs_without_a_job_then_they_are_found_and_removed(ledger: Ledger, store: Store) -> None:
    complete, partial = put_outputs(store, "a" * 64), put_outputs(store, "b" * 64, "preview.webp")

    differences = compare(ledger, store, SECRET)

    assert differences == Differences(orphaned_outputs=(complete, partial))
    repair(ledger, store, differences, NOW)
    assert objects(store) == set()


def test_given_outputs_that_a_worker_is_about_to_record_then_nothing_differs(ledger: Ledger, store: Store) -> None:
    job = add(ledger, store, digest="d" * 64)
    claim = ledger.attempts.claim(job, lease_owner="host:1:1", now=NOW, lease=30)
    assert isinstance(claim, Claimed)
    put_outputs(store, artifact_key(SECRET, "acme", "d" * 64, RenderOptions()), "preview.webp")

    assert not compare(ledger, store, SECRET)


def test_given_drawings_without_a_job_then_they_are_found_unless_another_job_uses_them(
    ledger: Ledger, store: Store
) -> None:
    unused, used = source_key("acme", str(uuid4())), source_key("acme", str(uuid4()))
    store.put(unused, b"a drawing")
    add(ledger, store, source=used)

    differences = compare(ledger, store, SECRET)

    assert differences == Differences(orphaned_sources=(unused,))
    repair(ledger, store, differences, NOW)
    assert objects(store) == {used}


def test_given_jobs_whose_outputs_are_missing_then_those_with_a_drawing_are_rendered_again(
    ledger: Ledger, store: Store
) -> None:
    rerenderable = add(ledger, store, state=State.SUCCEEDED, artifact="a" * 64, finished_at=NOW, publications=1)
    lost = add(ledger, store, state=State.SUCCEEDED, artifact="b" * 64)
    store.delete(lost.source)

    differences = compare(ledger, store, SECRET)

    assert differences == Differences(rerenderable=(rerenderable.id,), unrecoverable=(lost.id,))
    repair(ledger, store, differences, NOW + 1)
    replayed = ledger.jobs.find(rerenderable.id)
    assert replayed is not None
    assert (replayed.state, replayed.artifact, replayed.finished_at) == (State.ACCEPTED, None, None)
    assert [job.id for job in ledger.jobs.stale(NOW + 99, republish_after=60, queue_depth=0)] == [rerenderable.id]
    assert compare(ledger, store, SECRET) == Differences(unrecoverable=(lost.id,))


def test_the_intersection_contains_only_what_both_comparisons_found() -> None:
    first = Differences(("a", "b"), ("c",), ("d",), ())

    assert first.intersection(Differences(("b", "x"), (), ("d",), ("e",))) == Differences(("b",), (), ("d",), ())


def test_given_many_differences_then_the_intersection_iterates_over_the_later_ones_once() -> None:
    iterations: list[object] = []

    class Iterated(tuple[str, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[str]:
            iterations.append(self)
            return super().__iter__()

    Differences(("a", "b", "c")).intersection(Differences(Iterated(("a", "b", "c"))))

    assert len(iterations) == 1


@pytest.mark.usefixtures("ledger")
def test_the_command_prints_the_differences_as_text_and_as_json_and_changes_nothing(
    store: Store, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "BULKHEAD_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db",
        "BULKHEAD_STORE_URL": str(tmp_path / "store"),
        "BULKHEAD_ARTIFACT_SECRET": SECRET,
        "BULKHEAD_VAR": str(tmp_path / "var"),
    }

    def reconcile(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli", "reconcile", *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)

    agreed = reconcile()
    assert (agreed.returncode, agreed.stdout) == (0, "Ledger and store agree.\n"), agreed.stderr
    prefix = put_outputs(store, "a" * 64)
    differing = reconcile()
    assert (differing.returncode, differing.stdout) == (
        1,
        f"{prefix}: outputs without a job, to remove\nRun `bulkhead reconcile --repair` to repair them.\n",
    )
    as_json = reconcile("--json")
    assert (as_json.returncode, json.loads(as_json.stdout)) == (
        1,
        {
            "orphaned_outputs": [prefix],
            "orphaned_sources": [],
            "rerenderable": [],
            "unrecoverable": [],
            "repaired": False,
        },
    )
    assert objects(store)
