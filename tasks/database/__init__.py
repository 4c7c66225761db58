"""The ledger's database: engine, schema and migrations."""
