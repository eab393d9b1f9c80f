"""What configs/monitoring ships is what /metrics serves, and Prometheus takes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleetd.views.metrics.metric import Kind
from fleetd.views.metrics.table import TABLE
from tests.support.prometheus_server import promtool

SHIPPED = Path(__file__).parents[2] / "configs" / "monitoring"
LABELS = {metric.name: set(metric.labels) for metric in TABLE if metric.kind is not Kind.HISTOGRAM}
LABELS |= {
    metric.name + suffix: {*metric.labels, *more}
    for metric in TABLE
    if metric.kind is Kind.HISTOGRAM
    for suffix, more in (("_bucket", ("le",)), ("_count", ()), ("_sum", ()))
}
OF_PROMETHEUS = {"instance", "job"}  # labels that the scrape adds
NAME = re.compile(r"\b(?:fleetd|redis|process)_[a-z_]+\b")
SELECTOR = re.compile(r"\b((?:fleetd|redis|process)_[a-z_]+)\{([^}]*)\}")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((SHIPPED / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((SHIPPED / "grafana.json").read_text())
    return document


def expressions_of_dashboard() -> list[str]:
    panels = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]
    return panels + [each["expr"] for each in dashboard()["annotations"]["list"]]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from expressions_of_dashboard()
    yield from (each["definition"] for each in dashboard()["templating"]["list"] if "definition" in each)


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_every_metric_and_label_that_is_asked_for_is_served(expression: str) -> None:
    assert set(NAME.findall(expression)) - LABELS.keys() == set()
    for metric, selector in SELECTOR.findall(expression):
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", selector))
        assert asked <= LABELS[metric] | OF_PROMETHEUS
    grouped = {label for by in re.findall(r"\bby \(([^)]*)\)", expression) for label in re.findall(r"\w+", by)}
    assert grouped <= {label for name in NAME.findall(expression) for label in LABELS[name]} | OF_PROMETHEUS


@pytest.mark.parametrize(
    "legend", sorted({t["legendFormat"] for p in dashboard()["panels"] for t in p.get("targets", ())})
)
def test_legends_name_labels_that_there_are(legend: str) -> None:
    assert set(re.findall(r"{{(\w+)}}", legend)) <= set().union(*LABELS.values(), OF_PROMETHEUS)


def test_most_metrics_have_a_place_on_the_dashboard() -> None:
    used = {name for expression in expressions() for name in NAME.findall(expression)}
    assert LABELS.keys() - used == {"fleetd_stopping", "process_start_time_seconds"}


def test_the_dashboard_has_its_rows_and_no_id_twice() -> None:
    panels = dashboard()["panels"]
    titles = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert titles == ["Fleet", "Queues", "Jobs", "Workers", "Rollouts", "Daemon"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    taken = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(set(taken)) == len(taken), "panels lie on each other"


def test_every_alert_has_a_test() -> None:
    groups = yaml.safe_load((SHIPPED / "rules.test.yml").read_text())["tests"]
    tested = [each for group in groups for each in group["alert_rule_test"]]
    fires = {each["alertname"] for each in tested if each.get("exp_alerts")}
    rests = {each["alertname"] for each in tested if not each.get("exp_alerts")}
    assert {rule["alert"] for rule in rules()} == fires == rests


@pytest.mark.process
def test_promtool_is_content_with_them() -> None:
    assert "SUCCESS" in promtool("check", "config", str(SHIPPED / "prometheus.yml"))
    assert "SUCCESS" in promtool("test", "rules", str(SHIPPED / "rules.test.yml"))


@pytest.mark.process
def test_the_dashboard_asks_in_promql(tmp_path: Path) -> None:
    asked = [each.replace("$__rate_interval", "1m") for each in expressions_of_dashboard()]
    recorded = [{"record": f"dashboard:{number}", "expr": each} for number, each in enumerate(asked)]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    assert f"{len(recorded)} rules found" in promtool("check", "rules", str(file))
