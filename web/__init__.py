"""The HTTP API: accepts blueprints with 202 and reports on their jobs. Start it with `python -m web`."""
