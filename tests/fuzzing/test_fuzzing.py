"""Damaged files of every family: each is rendered or refused, without crash, hang or leftovers."""

import time
from collections.abc import Iterator

import pytest

from tests.fuzzing.harness import OVER_LIMIT, Pool, Report, jobs
from tests.fuzzing.seeds import FAMILIES

COUNT = 200
SEED = 1


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool() as children:
        yield children


@pytest.mark.parametrize("family", FAMILIES)
def test_given_damaged_files_when_rendered_then_each_is_rendered_or_refused(family: str, pool: Pool) -> None:
    report = Report(family, SEED)

    pool.run(report, jobs(family, SEED, range(COUNT)), time.monotonic() + 100)

    print(f"{family}: {dict(report.outcomes)}, {report.outcomes[OVER_LIMIT]} over their memory limit")
    assert report.unacceptable == {}, "\n".join(report.findings)
    assert report.files == COUNT
    assert report.outcomes["rendered"] > 0, dict(report.codes)
