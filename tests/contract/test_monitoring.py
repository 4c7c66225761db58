"""Alert rules and dashboard are valid for Prometheus and use only metrics that exist."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.embedded.process import NotInstalled
from tasks.observability.metrics import HistogramMetric, all_metrics
from tests.conftest import skip_or_fail
from tests.contract.scripts import load

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"


def promtool(*arguments: str) -> str:
    """The output of promtool. Its exit code must be 0."""
    if shutil.which("promtool") is None:
        skip_or_fail(NotInstalled("promtool", "prometheus", "run without it"))
    command = ["promtool", *arguments]
    result = subprocess.run(command, cwd=MONITORING, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def names() -> set[str]:
    """The names of all our time series, and Prometheus' own `up`."""
    known = {"up"}
    for each in all_metrics():
        suffixes = ("_bucket", "_sum", "_count") if isinstance(each, HistogramMetric) else ("",)
        known |= {each.name + suffix for suffix in suffixes}
    return known


def metrics_in(query: str) -> Iterator[str]:
    return (name for name in re.findall(r"\b(?:bulkhead_\w+|up)\b(?!\")", query))


@pytest.mark.service
def test_given_the_rules_then_promtool_accepts_them_and_each_alert_fires_as_expected() -> None:
    promtool("check", "config", "--syntax-only", "prometheus.yml")
    promtool("check", "rules", "--lint-fatal", "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yml")


def test_given_the_rules_then_their_metrics_exist() -> None:
    rules = (MONITORING / "alerts.yml").read_text()
    queries = [line for line in rules.splitlines() if "summary:" not in line and "description:" not in line]
    used = set(metrics_in("\n".join(queries)))
    assert len(used) > 5
    assert used <= names()


def test_given_the_dashboard_then_it_is_current_and_its_metrics_exist() -> None:
    text = (MONITORING / "grafana.json").read_text()
    assert text == load(MONITORING / "dashboard.py").dashboard_json(), (
        "Run `python monitoring/dashboard.py` and commit what it writes."
    )
    queries = [target["expr"] for panel in json.loads(text)["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 10
    for query in queries:
        assert set(metrics_in(query)) <= names(), query
