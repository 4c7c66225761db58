"""Alembic's entry: runs the migrations on the connection that `tasks.database.migrate` brings."""

from alembic import context

from workers.heartbeats.migrate import MIGRATIONS
from workers.heartbeats.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=MIGRATIONS.version_table,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
