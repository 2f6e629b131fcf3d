"""`/metrics` in both formats, read by Prometheus' own parsers (S11f)."""

import json

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gateway.errors import Unavailable

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def event(number, **more):
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/somewhere",
        "type": f"a.stranger.made.this.{number}",
        "time": "2026-01-01T12:00:00.5Z",
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
        "data": {},
    } | more


def figure(page, name):
    samples = {sample.name: sample for family in parse_text(page) for sample in family.samples}
    return samples[name].value


@pytest.fixture
def metrics(client):
    def get(**headers):
        answer = client.get("/metrics", headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert "accept" in answer.headers["vary"].lower()
        return answer

    return get


def test_what_came_in_is_counted_in_both_formats(client, metrics):
    client.post("/v1/events", content=json.dumps([event(1), event(2)]), headers=BATCH)
    client.post("/v1/events", content=json.dumps([event(2), event(3)]), headers=BATCH)
    text = metrics()
    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert figure(text.text, "letta_gateway_events_accepted_total") == 3
    assert figure(text.text, "letta_gateway_events_duplicate_total") == 1
    assert figure(text.text, "letta_gateway_emit_to_append_seconds_count") == 3
    assert TRACE not in text.text
    openmetrics = metrics(**OPENMETRICS)
    assert openmetrics.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = {family.name: family for family in parse_openmetrics(openmetrics.text)}
    emitted = families["letta_gateway_emit_to_append_seconds"]
    assert {sample.exemplar.labels["trace_id"] for sample in emitted.samples if sample.exemplar} == {TRACE}
    assert families["letta_gateway_events_accepted"].samples[0].value == 3
    assert families["letta_gateway_log_position"].samples[0].value == 3


def test_s11f_nothing_that_a_stranger_says_becomes_a_label(client, metrics):
    client.post("/v1/events", content=json.dumps([event(99)]), headers=BATCH)
    before = labels(metrics().text)
    client.post("/v1/events", content=json.dumps([event(n) for n in range(10)]), headers=BATCH)
    assert labels(metrics().text) == before
    assert "stranger" not in metrics(**OPENMETRICS).text


def labels(page):
    return {
        (sample.name, *sorted(sample.labels.items()))
        for family in parse_text(page)
        for sample in family.samples
    }


def test_both_formats_have_the_same_figures(metrics):
    text = {name for name, *_ in labels(metrics().text)}
    openmetrics = {
        sample.name for family in parse_openmetrics(metrics(**OPENMETRICS).text) for sample in family.samples
    }
    assert text == openmetrics


def test_a_log_that_is_away_is_told_by_what_is_missing(metrics, services, monkeypatch):
    async def away():
        raise Unavailable("The database is away.")

    monkeypatch.setattr(services.log, "head", away)
    names = {name for name, *_ in labels(metrics().text)}
    assert "letta_gateway_ready" in names
    assert "letta_gateway_log_position" not in names
