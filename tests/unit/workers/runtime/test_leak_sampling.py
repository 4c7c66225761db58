"""Which jobs are sampled for leaks, and which files of a sample are opened."""

import os
import uuid
from pathlib import Path

import pytest

from workers.runtime.leak_sampling import is_sampled, open_regular


def test_one_job_in_n_is_sampled_always_the_same_and_none_if_n_is_zero() -> None:
    jobs = [str(uuid.UUID(int=number)) for number in range(5000)]

    sampled = [job for job in jobs if is_sampled(job, 100)]

    assert 25 <= len(sampled) <= 100
    assert sampled == [job for job in jobs if is_sampled(job, 100)]
    assert all(is_sampled(job, 1) for job in jobs)
    assert not any(is_sampled(job, 0) for job in jobs)


def test_given_a_regular_file_then_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "report").write_bytes(b"flames")

    with open_regular(tmp_path / "report") as file:
        assert file.read() == b"flames"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", ["link", "pipe", "directory", "missing"])
def test_given_anything_else_in_its_place_then_it_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "report"
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()

    with pytest.raises(OSError, match="report"), open_regular(path):
        pass
