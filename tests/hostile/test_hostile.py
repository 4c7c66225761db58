"""Every hostile case is refused at once or contained: no other file is opened, nothing is left behind."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.storage import ObjectNotFound
from tasks.storage.local import LocalStore
from tests.hostile.corpus import CASES, TIMEOUT, Case, Expected, make_canaries
from tests.hostile.harness import Outcome, Trial, plan_case, render_trials

MAX_REFUSAL_SECONDS = 0.05
BATCH = 12
DAMAGED = "damaged"
MAX_TEXT = 1000  # characters
MAX_PLAN_SECONDS = 1.0  # for an accepted drawing of megabytes, whose sections are searched

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not shutil.which("strace") and not os.environ.get("CI"), reason="strace is not installed"),
]

OutcomesByCase = dict[Case, tuple[Trial, Future[None] | None]]


@pytest.fixture(scope="session")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Canary files that the corpus references and no render may open."""
    return make_canaries(tmp_path_factory.mktemp("canary") / "outside")


@pytest.fixture(scope="session")
def outcomes_by_case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, outside: Path
) -> Iterator[OutcomesByCase]:
    """Outcomes of the selected cases. All are planned first; then two sandboxes at a time render the accepted ones."""
    selected = [case for item in request.session.items if isinstance(case := _parameters(item).get("case"), Case)]
    folder = tmp_path_factory.mktemp("hostile")
    trials = [_plan_trial(case, folder, outside) for case in dict.fromkeys(selected)]
    results: OutcomesByCase = {trial.case: (trial, None) for trial in trials}
    with ThreadPoolExecutor(2) as pool:
        for number, batch in enumerate(_batches([trial for trial in trials if trial.outcome.refusal is None])):
            future = pool.submit(render_trials, batch, folder / f"scratch-{number}")
            results |= {trial.case: (trial, future) for trial in batch}
        yield results
        pool.shutdown(cancel_futures=True)


def _batches(trials: list[Trial]) -> Iterator[list[Trial]]:
    """Yield the trials of each sandbox. Cases that run until their time limit come first, in sandboxes of their own."""
    yield from ([trial] for trial in trials if trial.case.timeout < TIMEOUT)
    others = [trial for trial in trials if trial.case.timeout == TIMEOUT]
    yield from (others[at : at + BATCH] for at in range(0, len(others), BATCH))


def _parameters(item: pytest.Item) -> dict[str, object]:
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec else {}


def _plan_trial(case: Case, folder: Path, outside: Path) -> Trial:
    trial_folder = folder / str(case)
    trial_folder.mkdir()
    source = trial_folder / case.file
    case.make(source, outside)
    return Trial(case, source, plan_case(case, source))


def _wait_for_outcome(case: Case, outcomes_by_case: OutcomesByCase) -> tuple[Trial, Outcome]:
    trial, future = outcomes_by_case[case]
    if future is not None:
        future.result()
    return trial, trial.outcome


@pytest.mark.parametrize("case", CASES, ids=str)
def test_hostile(case: Case, outcomes_by_case: OutcomesByCase, outside: Path) -> None:
    trial, outcome = _wait_for_outcome(case, outcomes_by_case)
    assert outcome.seconds <= (MAX_REFUSAL_SECONDS if outcome.refusal else MAX_PLAN_SECONDS)
    if case.expected is Expected.REFUSED:
        assert outcome.refusal
    if outcome.refusal:
        assert case.expected in {Expected.REFUSED, Expected.CONTAINED}
        _assert_clear(outcome.refusal)
    else:
        _assert_contained(trial, outside)


def _assert_contained(trial: Trial, outside: Path) -> None:
    case, outcome = trial.case, trial.outcome
    assert outcome.cpu <= case.timeout + 2
    if outcome.error:
        assert case.expected is not Expected.RENDERS, outcome.error
        _assert_clear(outcome.error)
    else:
        assert outcome.manifest
        assert case.expected is not Expected.DAMAGED or DAMAGED in {
            warning["code"] for warning in outcome.manifest["warnings"]
        }
        assert outcome.manifest["preview"]["width"]
        assert max(map(len, _texts(outcome.manifest)), default=0) < MAX_TEXT
    assert str(trial.source) in outcome.opened, "nothing was traced"
    assert not [name for name in outcome.opened if str(outside) in name or name in {"/etc/passwd", "/etc/shadow"}]
    assert not [name for name in outcome.opened if f"/{outside.name}/" in f"/{name}"]
    assert not outcome.sockets
    assert not outcome.created
    assert not outcome.leftovers


def _texts(manifest: dict[str, Any]) -> list[str]:
    """Return the texts in the manifest that come from the drawing."""
    layers, warnings = manifest["layers"], manifest["warnings"]
    return [layer["name"] for layer in layers] + [warning["message"] for warning in warnings]


def _assert_clear(error: dict[str, str]) -> None:
    """Assert that the error has a code, and a message of full sentences without internals."""
    assert error["code"].replace("-", "").isalpha()
    assert error["code"] not in {"internal-error", "engine-unavailable"}, error
    assert error["detail"].endswith((".", ")")), error
    assert "Traceback" not in error["detail"]
    assert "the secret" not in error["detail"]
    assert len(error["detail"]) < MAX_TEXT


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len(CASES) >= 60
    assert len({str(case) for case in CASES}) == len(CASES)


def test_the_corpus_is_the_same_each_time(tmp_path: Path, outside: Path) -> None:
    for case in CASES:
        if case.family not in {"thing", "cut"}:
            once, again = tmp_path / "once", tmp_path / "again"
            case.make(once, outside)
            case.make(again, outside)
            assert once.read_bytes() == again.read_bytes(), case


def test_a_link_in_the_store_is_not_followed(tmp_path: Path, outside: Path) -> None:
    store = LocalStore(tmp_path / "store")
    (tmp_path / "store" / "sources").mkdir()
    (tmp_path / "store" / "sources" / "drawing").symlink_to(outside / "secret.dxf")
    with pytest.raises(ObjectNotFound), store.as_file("sources/drawing"):
        pytest.fail("the link was followed")


def test_no_process_is_left_behind(outcomes_by_case: OutcomesByCase) -> None:
    for case in outcomes_by_case:
        _wait_for_outcome(case, outcomes_by_case)
    assert not [
        child
        for child in psutil.Process().children(recursive=True)
        if "workers.sandbox.zygote.process" in child.cmdline()
    ]
