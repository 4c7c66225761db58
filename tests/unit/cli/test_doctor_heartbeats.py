"""What `bulkhead doctor` reports about the tables of heartbeats."""

from pathlib import Path

from cli.commands.doctor import check_heartbeats
from tasks.settings import Settings
from workers.heartbeats.migrate import migrate_tables


def settings_of(url: str) -> Settings:
    return Settings.model_validate({"heartbeats_database_urls": url})


def test_given_no_tables_then_the_remedy_is_to_migrate_and_afterwards_the_check_passes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/machines.db"

    missing = check_heartbeats(settings_of(url))
    migrate_tables([url])
    migrated = check_heartbeats(settings_of(url))

    assert (missing.ok, missing.remedy) == (False, "Run `bulkhead migrate`.")
    assert (migrated.ok, migrated.detail) == (
        True,
        "0 machines; no coalescer is running; start one: python -m workers.heartbeats.",
    )


def test_given_no_database_then_the_remedy_names_the_setting() -> None:
    away = check_heartbeats(settings_of("mysql+pymysql://nobody@127.0.0.1:1/x"))

    assert (away.ok, away.remedy) == (False, "Start the database or correct BULKHEAD_HEARTBEATS_DATABASE_URLS.")
