"""Writes grafana.json, a dashboard of the metrics in docs/reference/metrics.md: `python monitoring/dashboard.py`."""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TARGET = HERE / "grafana.json"
SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH, HEIGHT, COLUMNS = 8, 8, 3

Panel = dict[str, Any]
# The query and the legend of a line; title, unit and lines of a chart; title and charts of a row.
Line = tuple[str, str]
Chart = tuple[str, str, list[Line]]
Row = tuple[str, list[Chart]]


FLUSH_DURATION = "bulkhead_heartbeats_flush_duration_seconds"


def upload_latency_quantile(share: float) -> str:
    """The query for a quantile of the response time of uploads."""
    uploads = 'bulkhead_http_request_duration_seconds_bucket{method="POST", route="/renders"}[$__rate_interval]'
    return f"histogram_quantile({share}, sum by (le) (rate({uploads})))"


def attempt_quantiles(histogram: str) -> list[Line]:
    """Quantiles of a histogram of attempts. Every web host counts all attempts, so one of them is enough."""
    rate = f"max by (le) (sum by (instance, le) (rate({histogram}_bucket[$__rate_interval])))"
    return [(f"histogram_quantile({share}, {rate})", f"p{share * 100:g}") for share in (0.5, 0.9, 0.99)]


ROWS: list[Row] = [
    (
        "Renders",
        [
            ("Jobs by state", "short", [("max by (state) (bulkhead_jobs)", "{{state}}")]),
            ("Jobs waiting for a worker", "short", [("max by (queue) (bulkhead_queue_messages_ready)", "{{queue}}")]),
            ("Dead jobs", "short", [('max(delta(bulkhead_jobs{state="dead"}[15m]))', "in 15 minutes")]),
            (
                "Response time of uploads",
                "s",
                [(upload_latency_quantile(share), f"p{share * 100:g}") for share in (0.5, 0.99)],
            ),
            (
                "HTTP responses",
                "reqps",
                [("sum by (status) (rate(bulkhead_http_requests_total[$__rate_interval]))", "{{status}}")],
            ),
            (
                "Uploads",
                "Bps",
                [("sum(rate(bulkhead_uploaded_bytes_total[$__rate_interval]))", "blueprints")],
            ),
            (
                "Submissions",
                "reqps",
                [("sum by (outcome) (rate(bulkhead_submissions_total[$__rate_interval]))", "{{outcome}}")],
            ),
            (
                "Finished attempts",
                "ops",
                [
                    (
                        (
                            "max by (outcome, cause) (sum by (instance, outcome, cause) "
                            "(rate(bulkhead_attempts_total[$__rate_interval])))"
                        ),
                        "{{outcome}} {{cause}}",
                    )
                ],
            ),
            (
                "Peak memory of an attempt",
                "bytes",
                attempt_quantiles("bulkhead_attempt_peak_memory_bytes"),
            ),
            (
                "CPU time of an attempt",
                "s",
                attempt_quantiles("bulkhead_attempt_cpu_seconds"),
            ),
            (
                "Memory growth of an attempt",
                "bytes",
                attempt_quantiles("bulkhead_attempt_memory_growth_bytes"),
            ),
            ("Open event streams", "short", [("sum(bulkhead_event_streams)", "streams")]),
        ],
    ),
    (
        "Heartbeats",
        [
            (
                "Heartbeats per second",
                "short",
                [
                    ("sum(rate(bulkhead_heartbeats_written_total[$__rate_interval]))", "written"),
                    ("sum by (reason) (rate(bulkhead_heartbeats_rejected_total[$__rate_interval]))", "{{reason}}"),
                ],
            ),
            ("Lag behind the stream", "s", [("max(bulkhead_heartbeats_lag_seconds)", "lag")]),
            (
                "Duration of a flush",
                "s",
                [
                    (
                        f"histogram_quantile(0.99, sum by (le) (rate({FLUSH_DURATION}_bucket[15m])))",
                        "p99",
                    ),
                ],
            ),
            (
                "Database errors",
                "short",
                [
                    ("sum(increase(bulkhead_heartbeats_rejected_rows_total[15m]))", "rejected rows"),
                    ("sum(increase(bulkhead_heartbeats_flush_retries_total[15m]))", "flush retries"),
                ],
            ),
        ],
    ),
    (
        "Ticket keys",
        [
            ("Generation", "short", [("max by (node) (bulkhead_tickets_generation)", "{{node}}")]),
            ("Spread of generations", "short", [("max(bulkhead_tickets_generation_spread)", "spread")]),
            ("Age of the newest key", "s", [("max by (node) (bulkhead_tickets_key_age_seconds)", "{{node}}")]),
        ],
    ),
]


def build_dashboard() -> dict[str, Any]:
    """The dashboard in Grafana's import format."""
    panels: list[Panel] = []
    top = 0
    for title, charts in ROWS:
        panels.append({"type": "row", "title": title, "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}, "panels": []})
        top += 1
        for number, (name, unit, lines) in enumerate(charts):
            x, y = number % COLUMNS * WIDTH, top + number // COLUMNS * HEIGHT
            panels.append(build_panel(name, unit, lines, {"x": x, "y": y, "w": WIDTH, "h": HEIGHT}))
        top += -(-len(charts) // COLUMNS) * HEIGHT
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "title": "Bulkhead",
        "uid": "bulkhead",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }


def build_panel(title: str, unit: str, lines: list[Line], position: dict[str, int]) -> Panel:
    """A time series panel."""
    return {
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": query, "legendFormat": name}
            for number, (query, name) in enumerate(lines)
        ],
    }


def dashboard_json() -> str:
    """The content of grafana.json."""
    return json.dumps(build_dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(dashboard_json())
    print(TARGET.relative_to(HERE.parent), file=sys.stderr)
