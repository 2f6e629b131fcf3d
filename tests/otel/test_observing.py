"""The files in `otel/` that others run: Prometheus' rules, a dashboard, a collector's configuration.

That every figure they name is one that `/metrics` serves is shown in `tests/flows/test_metrics.py`; the collector's
configuration, but for what of it is Prometheus', is held to what is documented in `test_collector.py`.
"""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "otel" / "alerts"
RULES = ALERTS / "letta-gateway.rules.yml"
TESTS = ALERTS / "letta-gateway.test.yml"
DASHBOARD = ROOT / "otel" / "grafana" / "letta-gateway.json"
COLLECTOR = ROOT / "otel" / "collector" / "letta-gateway.yaml"


def alerts():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def promtool():
    spec = importlib.util.spec_from_file_location("promtool", ROOT / "tests/packaging/promtool.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.promtool()
    if found is None:
        pytest.skip("promtool is not on the PATH, and this is no Debian to fetch it from")

    def run(*arguments, cwd=ALERTS, given=None):
        done = subprocess.run(
            [found, *arguments], cwd=cwd, input=given, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_the_rules_are_rules_and_fire_when_they_should(promtool):
    assert f"{len(alerts())} rules found" in promtool("check", "rules", RULES.name)
    assert "SUCCESS" in promtool("test", "rules", TESTS.name)


def test_each_alert_is_tested_where_it_fires_and_where_it_is_quiet():
    fires, quiet = set(), set()
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            (fires if case["exp_alerts"] else quiet).add(case["alertname"])
    names = [alert["alert"] for alert in alerts()]
    assert fires == quiet == set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_each_alert_says_what_it_is(alert):
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert["annotations"]["summary"].endswith(".")
    assert alert["annotations"]["description"].endswith(".")


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_operations_tells_what_to_do_about_each_alert(alert):
    page = (ROOT / "docs/operations.md").read_text()
    section = re.search(rf"^### {alert['alert']}\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE)
    assert section is not None, f"docs/operations.md has no section {alert['alert']}"
    assert "**Means**" in section[1]
    assert "**Do**" in section[1]


def test_operations_tells_of_no_alert_that_there_is_not():
    told = re.findall(r"^### (LettaGateway\w+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(alert["alert"] for alert in alerts())


def test_the_prometheus_is_one(promtool, tmp_path):
    for name in ("prometheus.yml", RULES.name):
        shutil.copy(ALERTS / name, tmp_path)
    # As it is shipped, on the gateway's own machine, it needs nothing else.
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml", cwd=tmp_path)
    shipped = (tmp_path / "prometheus.yml").read_text()
    elsewhere = re.sub(
        r"^    # ( *(?:authorization|type|credentials_file):)", r"    \1", shipped, flags=re.MULTILINE
    )
    assert "authorization" in yaml.safe_load(elsewhere)["scrape_configs"][0]
    (tmp_path / "prometheus.yml").write_text(elsewhere)
    (tmp_path / "letta-gateway.token").write_text("lgw_token")
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml", cwd=tmp_path)


def test_what_is_served_is_what_promtool_takes(promtool):
    """The names as well: its linter knows what Prometheus' conventions are."""
    from gateway.adapters.process_figures import process_families  # noqa: PLC0415 - only where promtool is
    from gateway.deliver.meters import DeliveryMeters  # noqa: PLC0415 - likewise
    from gateway.domain.stream_figures import StreamFigures  # noqa: PLC0415 - likewise
    from gateway.ingest.meters import IngestMeters  # noqa: PLC0415 - likewise
    from gateway.views.metrics import stream_families  # noqa: PLC0415 - likewise
    from otel.metrics_text import render  # noqa: PLC0415 - likewise

    families = [
        *IngestMeters().families(),
        *DeliveryMeters().families(),
        *stream_families(StreamFigures(), 0.0),
        *process_families("1"),
    ]
    promtool("check", "metrics", given=render(families, openmetrics=False))


def test_the_dashboard_has_a_query_in_each_panel_and_no_two_in_one_place():
    dashboard = json.loads(DASHBOARD.read_text())
    taken = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["targets"], panel["title"]
            assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert {item["name"] for item in dashboard["templating"]["list"]} == {"datasource", "instance"}


def test_each_query_of_the_dashboard_is_one(promtool, tmp_path):
    queries = [
        target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel.get("targets", ())
    ]
    assert len(queries) > 40
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(queries)} rules found" in promtool("check", "rules", path)


def test_the_scrape_of_the_collector_is_one_of_prometheus(promtool, tmp_path):
    config = yaml.safe_load(COLLECTOR.read_text())["receivers"]["prometheus"]["config"]
    for job in config["scrape_configs"]:
        job.pop("scrape_protocols")  # newer than Debian's
        job["static_configs"] = [{"targets": ["127.0.0.1:8080"]}]
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    assert "SUCCESS" in promtool("check", "config", path)
