"""Metrics: what is declared is what Prometheus finds."""

import re

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tasks.observability.metrics import CounterMetric, GaugeMetric, HistogramMetric, Metric, all_metrics


def test_given_every_metric_then_its_name_is_one_that_prometheus_recommends() -> None:
    names = [each.name for each in all_metrics()]
    assert len(names) == len(set(names))
    for each in all_metrics():
        assert re.fullmatch(r"bulkhead_[a-z_]+[a-z]", each.name)
        assert isinstance(each, CounterMetric) == each.name.endswith("_total")
        assert each.help.endswith("."), each.name


def test_when_every_metric_is_opened_then_prometheus_finds_it_under_its_name_kind_and_words() -> None:
    registry = CollectorRegistry()
    for each in all_metrics():
        use(each, registry)
    found = {each.name: each for each in text_string_to_metric_families(generate_latest(registry).decode())}
    for each in all_metrics():
        family = found[each.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (each.kind, each.help)


def test_when_counts_of_others_are_looked_up_then_they_carry_their_labels() -> None:
    gauge = GaugeMetric("bulkhead_rooms", "Rooms.", ("floor", "state")).snapshot({("1", "free"): 3.0})
    counter = CounterMetric("bulkhead_guests_total", "Guests.", ("floor",)).snapshot({("2",): 7.0})
    assert [(s.name, s.labels, s.value) for s in gauge.samples] == [
        ("bulkhead_rooms", {"floor": "1", "state": "free"}, 3.0)
    ]
    assert [(s.name, s.labels, s.value) for s in counter.samples] == [("bulkhead_guests_total", {"floor": "2"}, 7.0)]


def use(each: Metric, registry: CollectorRegistry) -> None:
    labels = ["x"] * len(each.labels)
    if isinstance(each, CounterMetric):
        counter = each.open(registry)
        (counter.labels(*labels) if labels else counter).inc()
    elif isinstance(each, GaugeMetric):
        gauge = each.open(registry)
        (gauge.labels(*labels) if labels else gauge).set(1)
    elif isinstance(each, HistogramMetric):
        histogram = each.open(registry)
        (histogram.labels(*labels) if labels else histogram).observe(0.01)
