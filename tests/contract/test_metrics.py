"""The exposition of every metric passes Prometheus' own linter."""

import shutil
import subprocess

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from cli.embedded.process import NotInstalled
from tasks.observability.metrics import CounterMetric, GaugeMetric, HistogramMetric, all_metrics
from tests.conftest import skip_or_fail


@pytest.mark.service
def test_given_every_metric_then_promtool_finds_nothing_to_criticise() -> None:
    if not (promtool := shutil.which("promtool")):
        skip_or_fail(NotInstalled("promtool", "prometheus", "run without it"))
    registry = CollectorRegistry()
    for metric in all_metrics():
        assert isinstance(metric, CounterMetric | GaugeMetric | HistogramMetric)
        opened = metric.open(registry)
        if metric.labels:
            opened.labels(*("x" for _ in metric.labels))

    checked = subprocess.run(
        [promtool, "check", "metrics"], input=generate_latest(registry), capture_output=True, timeout=60
    )

    assert (checked.returncode, checked.stdout.decode(), checked.stderr.decode()) == (0, "", "")
