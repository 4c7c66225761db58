"""Jobs: accepting, finding and paging."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy.exc import IntegrityError

from tasks.jobs import (
    Ledger,
    State,
)
from tests.contract.ledger.support import (
    T0,
    add_job,
    claim_job,
    find,
)


def test_an_accepted_job_is_found_with_every_field_unchanged(ledger: Ledger) -> None:
    job = add_job(
        ledger,
        filename="Pümp 🚰 'station'.dxf",
        options={"width": 16, "layout": "Blatt 1", "deep": True},
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        created_at=1_763_876_543.1234567,
    )

    assert ledger.jobs.find(job.id) == job


def test_a_job_is_found_only_by_its_own_tenant(ledger: Ledger) -> None:
    job = add_job(ledger)

    assert ledger.jobs.find(job.id, "acme") == job
    assert ledger.jobs.find(job.id, "rival") is None
    assert ledger.jobs.find(str(uuid.uuid4())) is None


def test_accepting_the_same_job_twice_raises_integrity_error(ledger: Ledger) -> None:
    job = add_job(ledger)

    with pytest.raises(IntegrityError):
        ledger.jobs.accept(job)


def test_given_a_confirmed_message_then_an_accepted_job_is_queued_and_a_running_job_stays_running(
    ledger: Ledger,
) -> None:
    slow, quick = add_job(ledger), add_job(ledger)
    claim_job(ledger, quick)

    for job in (slow, quick):
        ledger.jobs.mark_published(job.id, T0 + 2)

    assert find(ledger, slow).state is State.QUEUED
    assert find(ledger, quick).state is State.RUNNING
    assert [(find(ledger, job).published_at, find(ledger, job).publications) for job in (slow, quick)] == [
        (T0 + 2, 1),
        (T0 + 2, 1),
    ]


def test_pages_contain_each_job_once_newest_first_even_at_equal_times(ledger: Ledger) -> None:
    times = [T0 + number / 3 for number in range(4) for _ in range(5)]
    expected = [add_job(ledger, created_at=time) for time in times]
    add_job(ledger, tenant="rival")

    seen, after = [], None
    while True:
        page = ledger.jobs.page("acme", after=after, limit=3)
        seen += page.jobs
        after = page.next
        if after is None:
            break

    assert [job.id for job in seen] == [
        job.id for job in sorted(expected, key=lambda job: (job.created_at, job.id), reverse=True)
    ]


def test_a_page_without_tenant_contains_the_jobs_of_all_tenants(ledger: Ledger) -> None:
    mine, theirs = add_job(ledger), add_job(ledger, tenant="rival")

    assert {job.id for job in ledger.jobs.page().jobs} == {mine.id, theirs.id}


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("%", ["100% done.dxf"]),
        ("_", ["a_b.dxf"]),
        ("/", ["a/b.dxf"]),
        ("\\", ["back\\slash.dxf"]),
        ("PLAN", ["Floorplan.dxf"]),
        ("'; --", []),
        ("dxf", ["100% done.dxf", "Floorplan.dxf", "a/b.dxf", "a_b.dxf", "back\\slash.dxf"]),
    ],
)
def test_search_matches_every_character_literally_and_ignores_case(
    ledger: Ledger, search: str, expected: list[str]
) -> None:
    for name in ("100% done.dxf", "a_b.dxf", "a/b.dxf", "back\\slash.dxf", "Floorplan.dxf"):
        add_job(ledger, filename=name)

    assert sorted(job.filename for job in ledger.jobs.page("acme", search=search).jobs) == expected


def test_search_matches_the_start_of_an_id_but_not_its_middle(ledger: Ledger) -> None:
    job = add_job(ledger)

    assert [hit.id for hit in ledger.jobs.page(search=job.id[:9]).jobs] == [job.id]
    assert ledger.jobs.page(search=job.id[9:]).jobs == []


def test_a_page_without_tile_jobs_leaves_out_jobs_that_cut_tiles_of_one_layer(ledger: Ledger) -> None:
    whole = {add_job(ledger).id, add_job(ledger, options={"tiles": True, "tile_layer": -1}).id}
    part = add_job(ledger, options={"tiles": True, "tile_layer": 0})

    assert {job.id for job in ledger.jobs.page("acme").jobs} == {*whole, part.id}
    assert {job.id for job in ledger.jobs.page("acme", include_tile_jobs=False).jobs} == whole


def test_pages_and_counts_distinguish_states(ledger: Ledger) -> None:
    running = add_job(ledger)
    claim_job(ledger, running)
    add_job(ledger)
    add_job(ledger, tenant="rival")

    assert [job.id for job in ledger.jobs.page("acme", states=[State.RUNNING]).jobs] == [running.id]
    assert ledger.jobs.count_by_state("acme") == {**dict.fromkeys(State, 0), State.RUNNING: 1, State.ACCEPTED: 1}
    assert ledger.jobs.count_by_state()[State.ACCEPTED] == 2
