"""Alert rules and dashboard: valid for Prometheus, and about metrics that there are."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.embedded.process import NotInstalled
from tasks.observability.metrics import HistogramMetric, all_metrics
from tests.conftest import without
from tests.contract.scripts import load

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"


def promtool(*arguments: str) -> str:
    """What promtool says. Its exit code must be 0."""
    if shutil.which("promtool") is None:
        without(NotInstalled("promtool", "prometheus", "run without it"))
    command = ["promtool", *arguments]
    result = subprocess.run(command, cwd=MONITORING, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def names() -> set[str]:
    """Every name that Prometheus knows of ours, and its own `up`."""
    known = {"up"}
    for each in all_metrics():
        suffixes = ("_bucket", "_sum", "_count") if isinstance(each, HistogramMetric) else ("",)
        known |= {each.name + suffix for suffix in suffixes}
    return known


def asked_for(query: str) -> Iterator[str]:
    return (name for name in re.findall(r"\b(?:bulkhead_\w+|up)\b(?!\")", query))


@pytest.mark.service
def test_given_the_rules_then_promtool_takes_them_and_each_alert_fires_when_it_should() -> None:
    promtool("check", "config", "--syntax-only", "prometheus.yml")
    promtool("check", "rules", "--lint-fatal", "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yml")


def test_given_the_rules_then_they_are_about_metrics_that_there_are() -> None:
    rules = (MONITORING / "alerts.yml").read_text()
    queries = [line for line in rules.splitlines() if "summary:" not in line and "description:" not in line]
    used = set(asked_for("\n".join(queries)))
    assert len(used) > 5
    assert used <= names()


def test_given_the_dashboard_then_it_is_as_made_and_its_charts_are_about_metrics_that_there_are() -> None:
    text = (MONITORING / "grafana.json").read_text()
    assert text == load(MONITORING / "dashboard.py").dashboard_json(), (
        "Run `python monitoring/dashboard.py` and commit what it writes."
    )
    queries = [target["expr"] for panel in json.loads(text)["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 10
    for query in queries:
        assert set(asked_for(query)) <= names(), query
