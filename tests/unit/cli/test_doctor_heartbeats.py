"""What the doctor says of the tables of heartbeats."""

from pathlib import Path

from cli.commands.doctor import check_heartbeats
from tasks.settings import Settings
from workers.heartbeats.migrate import migrate_tables


def settings_of(url: str) -> Settings:
    return Settings.model_validate({"heartbeats_database_urls": url})


def test_given_no_tables_then_it_says_to_migrate_and_with_them_all_is_well(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/machines.db"

    missing = check_heartbeats(settings_of(url))
    migrate_tables([url])
    there = check_heartbeats(settings_of(url))

    assert (missing.ok, missing.mend) == (False, "Run `bulkhead migrate`.")
    assert (there.ok, there.detail) == (True, "0 machines are known; no coalescer is at work.")


def test_given_no_database_then_it_says_what_to_correct() -> None:
    away = check_heartbeats(settings_of("mysql+pymysql://nobody@127.0.0.1:1/x"))

    assert (away.ok, away.mend) == (False, "Start the database or correct BULKHEAD_HEARTBEATS_DATABASE_URLS.")
