"""A sink's path may be its key, however plain a word it is: whoever sees the subscription sees it, and nobody else."""

import json
from collections.abc import Iterator

import pytest
from otlp_receiver import OtlpReceiver

WORD, QUERY = "letmein", "opensesame"


@pytest.fixture
def otlp() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as made:
        yield made


def test_a_plain_word_in_a_sinks_path_is_told_nowhere(make_gateway, receiver, make_event, kind, otlp, until):
    """In spans, figures, lines of the log at their loudest, facts, explanations and attempts."""
    gateway = make_gateway(
        GATEWAY_LOG_FORMAT="json", GATEWAY_LOG_DELIVERIES="all", GATEWAY_LOG_LEVEL="debug", **otlp.env()
    ).start()
    taken, failing = receiver.sink(), receiver.sink().reply_always(404)
    receiver.sinks[f"/{WORD}?key={QUERY}"], receiver.sinks[f"/hook-{WORD}"] = taken, failing
    here = f"http://127.0.0.1:{receiver.port}"
    sinks = (
        f"{here}/{WORD}?key={QUERY}",
        f"{here}/hook-{WORD}",
        f"http://127.0.0.1:9/{WORD}",
        f"http://nowhere.invalid/{WORD}?{QUERY}",
    )
    made = [gateway.subscribe(url, types=[kind], config={"retry": []}) for url in sinks]
    event = make_event()
    (position,) = gateway.publish(event)
    ended = until(
        lambda: (
            (found := gateway.deliveries(position))
            and len(found) == len(made)
            and all(one["state"] != "pending" for one in found)
            and found
        )
    )
    told = {
        "metrics": gateway.client.get("/metrics", headers={"Accept": "application/openmetrics-text"}).text,
        "facts": gateway.client.get(
            "/v1/events", params={"type": "com.letta.gateway.subscription.created"}
        ).text,
        "trace": gateway.client.get(f"/v1/events/{position}/trace").text,
        "deliveries": json.dumps(ended),
    }
    for subscription in made:
        query = {"subscription": subscription["id"]}
        explained = gateway.client.get(f"/v1/events/{position}/explain", params=query)
        assert explained.status_code == 200, explained.text
        told[f"explain {subscription['id']}"] = explained.text
    assert gateway.stop() == 0
    told["log"] = gateway.said_on_stderr()
    told["spans"] = b"".join(otlp.raw).decode("latin-1")
    assert "url.full" in told["spans"]
    assert f"{here}/REDACTED?REDACTED" in told["spans"]
    assert event["id"] in told["log"]
    assert {name: word for name, text in told.items() for word in (WORD, QUERY) if word in text} == {}
