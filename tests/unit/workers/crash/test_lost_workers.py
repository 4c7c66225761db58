"""A render that took its whole worker with it: when its flight record blames it, and which record is read."""

from pathlib import Path

import pytest

from workers.crash.explanation import format_crash
from workers.crash.flight_recorder import FOLDER, FlightRecord, record_attempt
from workers.crash.lost_workers import explain_loss, pop_lost_record
from workers.sandbox.causes import Cause

MIB = 1024**2
LIMIT = 512 * MIB


def test_given_a_render_over_its_plan_and_half_of_its_limit_then_it_was_the_cause() -> None:
    record = FlightRecord("job", 1, "encode", "PIPES", planned=120 * MIB, resident=390 * MIB)

    death = explain_loss(record, LIMIT)

    assert death is not None
    assert death.cause is Cause.OUT_OF_MEMORY
    assert format_crash(death, record) == (
        "Attempt 1 was killed with its whole worker at 390 MiB while encoding layer PIPES (planned 120 MiB)."
    )


@pytest.mark.parametrize(("planned", "resident"), [(400, 390), (0, 256), (120, 200), (0, 0)])
def test_given_a_render_within_its_plan_or_half_of_its_limit_then_it_was_not_the_cause(
    planned: int, resident: int
) -> None:
    assert explain_loss(FlightRecord("job", 1, planned=planned * MIB, resident=resident * MIB), LIMIT) is None


def test_given_the_record_of_an_earlier_attempt_then_it_is_read_once_and_others_stay(tmp_path: Path) -> None:
    for owner, job, attempt in (("host:1:1", "job", 1), ("host:2:1", "job", 2), ("host:3:1", "other", 1)):
        with pytest.raises(SystemExit), record_attempt(tmp_path, owner, job=job, attempt=attempt):
            raise SystemExit  # the file stays, as if the process had been killed

    lost = pop_lost_record(tmp_path, "job", 2)

    assert lost is not None
    assert (lost[0], lost[1].attempt) == ("host:1:1", 1)
    assert pop_lost_record(tmp_path, "job", 2) is None
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == ["host:2:1", "host:3:1"]
