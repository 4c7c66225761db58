"""Alembic's entry: runs the migrations on the connection that `tasks.ledger.migrate` brings."""

from alembic import context

from tasks.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=True
)
with context.begin_transaction():
    context.run_migrations()
