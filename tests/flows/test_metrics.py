"""What `/metrics` and the log say of a run, held against what happened in it."""

import http.server
import json
import re
import signal
import threading
from pathlib import Path

import httpx
import pytest
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

TRACE = "0af7651916cd43dd8448eb211c80319c"
LONG = "x" * 1_500
SECRET = "whsec_" + "c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1zZWUtYW55d2hlcmU="
BEARER = "bearer-credential-that-nobody-may-see"


class Figures:
    """All samples of one look, by name and labels."""

    def __init__(self, gateway, accept=""):
        # As Prometheus on the same machine: without a token.
        answer = httpx.get(f"{gateway.said['url']}/metrics", headers={"Accept": accept}, trust_env=False)
        assert answer.status_code == 200, answer.text
        self.page = answer.text
        parse = parse_openmetrics if "openmetrics" in answer.headers["content-type"] else parse_text
        self.families = list(parse(answer.text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def __call__(self, name, **labels):
        name = f"letta_gateway_{name}"
        found = [
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert found, f"{name}{labels} is not there"
        return sum(found)


def lines(gateway, **members):
    """The wide lines of a gateway that logs as JSON."""
    found = [json.loads(line) for line in gateway.said_on_stderr().splitlines() if line.startswith("{")]
    return [line for line in found if members.items() <= line.items()]


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(GATEWAY_LOG_FORMAT="json", GATEWAY_LOG_DELIVERIES="all").start()


def test_figures_and_lines_add_up_to_what_happened(gateway, receiver, make_event, until):
    steady, flaky, broken, paused = (receiver.sink() for _ in range(4))
    flaky.reply(503, 500)
    broken.reply_always(404)
    made = {
        "steady": gateway.subscribe(steady, secret=SECRET),
        "flaky": gateway.subscribe(flaky),
        "broken": gateway.subscribe(broken, config={"retry": [0.05]}),
        "paused": gateway.subscribe(paused),
    }
    gateway.subscription(made["paused"], "pause")
    traced = make_event(traceparent=f"00-{TRACE}-00f067aa0ba902b7-01", time="2026-01-01T12:00:00Z")
    first, _ = gateway.publish(traced, make_event())
    gateway.publish(traced)
    gateway.add(make_event(), b"no event", make_event(type="com.letta.gateway.mine"))
    steady.wait(3)
    flaky.wait(5)
    until(lambda: Figures(gateway)("attempts_total", outcome="exhausted") == 3)
    until(lambda: Figures(gateway)("deliveries_delivered_total") == 6)
    found = until(
        lambda: (now := Figures(gateway))("deliveries_pending") == 0 and now("redis_pending") == 0 and now
    )
    assert found("events_accepted_total") == 3
    assert found("events_duplicate_total") == 1
    assert found("events_quarantined_total", reason="malformed") == 1
    assert found("events_quarantined_total", reason="reserved-name") == 1
    assert found("events_quarantined_total") == 2
    assert found("attempts_total", outcome="delivered", **{"class": "2xx"}) == 6
    assert found("attempts_total", outcome="failed", **{"class": "5xx"}) == 2
    assert found("attempts_total", outcome="failed", **{"class": "4xx"}) == 3
    assert found("attempts_total", outcome="exhausted", **{"class": "4xx"}) == 3
    assert found("attempts_total") == 14
    assert found("deliveries_delivered_total", by="first") == 4
    assert found("deliveries_delivered_total", by="retry") == 2
    assert found("append_to_first_attempt_seconds_count") == 9
    assert found("append_to_delivered_seconds_count") == 6
    assert found("emit_to_delivered_seconds_count") == 2, "one event has a time, and two took it"
    assert found("emit_to_append_seconds_count") == 1
    assert found("streams", state="stopped") == 1
    assert found("streams") == 4
    # One that is stopped does not lag; the others pass the notices of what was exhausted.
    until(lambda: Figures(gateway)("stream_lag_events_max") == 0)
    assert found("breaker_changes_total") == 0
    until(lambda: Figures(gateway)("journal_batch_attempts_sum") == 14)
    stored = sum(len(item["attempts"]) for position in range(1, 20) for item in deliveries(gateway, position))
    assert stored == 14

    told = until(lambda: len(found := lines(gateway, message="attempt")) == 14 and found)
    assert len({(line["delivery"], line["attempt"]) for line in told}) == 14
    (line,) = [
        line for line in told if line["position"] == first and line["subscription"] == made["steady"]["id"]
    ]
    assert (line["event"], line["outcome"], line["class"], line["status"]) == (
        traced["id"],
        "delivered",
        "2xx",
        200,
    )
    assert line["trace_id"] == TRACE
    posted = next(post for post in steady.posts if post.event_id == traced["id"])
    assert posted.headers["traceparent"] == f"00-{line['trace_id']}-{line['span_id']}-01"
    assert posted.webhook_id == line["delivery"]

    replayed = gateway.client.post(
        f"/v1/subscriptions/{made['steady']['id']}/replay", json={"from_position": first}
    )
    assert replayed.status_code == 202, replayed.text
    found = until(lambda: (now := Figures(gateway))("deliveries_delivered_total", by="replay") == 3 and now)
    assert found("append_to_delivered_seconds_count") == 6, "a replay does not make an event late"
    page = Figures(gateway, "application/openmetrics-text")
    exemplars = [sample.exemplar.labels for sample in page.samples if sample.exemplar]
    assert TRACE in {labels["trace_id"] for labels in exemplars}
    assert {len(labels["span_id"]) for labels in exemplars if "span_id" in labels} == {16}


def deliveries(gateway, position):
    answer = gateway.client.get(f"/v1/events/{position}/deliveries")
    return answer.json()["items"] if answer.status_code == 200 else []


def test_a_stream_that_stands_still_lags_and_says_why(gateway, receiver, make_event, until):
    failing = receiver.sink().reply_always(500)
    gateway.subscribe(failing, config={"retry": [0.01] * 40})
    gateway.publish(make_event())
    until(lambda: Figures(gateway)("streams", state="breaker_open") == 1)
    assert Figures(gateway)("breaker_changes_total", to="open") == 1
    gateway.publish(*(make_event() for _ in range(200)))
    found = until(lambda: (now := Figures(gateway))("stream_lag_events_max") >= 200 and now)
    assert found("streams_behind", positions="100") == 1
    assert found("streams_behind", positions="1000") == 0
    assert found("stream_lag_seconds") > 0
    # A breaker opens after 20 failures: a failing stream cannot flood the log.
    assert len(lines(gateway, message="attempt")) <= 25


def test_a_stream_that_may_move_follows_before_its_first_event_too(make_gateway, receiver, until):
    gateway = make_gateway().start()
    moving = [gateway.subscribe(receiver.sink()) for _ in range(3)]
    gateway.subscribe("pull:", config={"retry": None})

    def states(now):  # what is only fetched is no stream here
        return {state: now("streams", state=state) for state in ("following", "catching_up", "stopped")}

    until(lambda: states(Figures(gateway)) == {"following": 3, "catching_up": 0, "stopped": 0})
    gateway.subscription(moving[0], "pause")
    until(lambda: states(Figures(gateway)) == {"following": 2, "catching_up": 0, "stopped": 1})
    gateway.subscription(moving[0], "resume")
    until(lambda: states(Figures(gateway)) == {"following": 3, "catching_up": 0, "stopped": 0})
    gateway.subscription(moving[0], "pause")
    gateway.client.delete(f"/v1/subscriptions/{moving[1]['id']}")
    until(lambda: states(Figures(gateway)) == {"following": 1, "catching_up": 0, "stopped": 1})
    assert gateway.stop() == 0
    gateway.start()
    until(lambda: states(Figures(gateway)) == {"following": 1, "catching_up": 0, "stopped": 1}, within_s=60)


def test_a_status_that_a_sink_made_up_has_a_class_that_was_there_before_it(gateway, sink, make_event, until):
    counted = {"outcome": "exhausted", "class": "unknown"}
    assert Figures(gateway)("attempts_total", **counted) == 0
    sink.reply(999)
    gateway.subscribe(sink)
    gateway.publish(make_event())
    until(lambda: Figures(gateway)("attempts_total", **counted) == 1)
    (line,) = until(lambda: lines(gateway, message="attempt"))
    assert (line["class"], line["status"], line["error"]) == ("unknown", 999, "999")


def exemplars(gateway):
    page = Figures(gateway, "application/openmetrics-text")
    return {sample.exemplar.labels["trace_id"] for sample in page.samples if sample.exemplar}


def test_an_exemplar_leads_to_spans_where_spans_are_made(make_gateway, otlp_taker, sink, make_event, until):
    """A sampler that begins no trace leaves those that a producer has begun; one that was left out is never named."""
    gateway = make_gateway(
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{otlp_taker.url}/v1/traces",
        OTEL_TRACES_SAMPLER="parentbased_always_off",
    ).start()
    gateway.subscribe(sink)
    time = "2026-01-01T12:00:00Z"
    gateway.publish(make_event(time=time, traceparent=f"00-{'b' * 32}-00f067aa0ba902b7-00"))
    gateway.publish(make_event(time=time))
    sink.wait(2)
    until(lambda: Figures(gateway)("append_to_delivered_seconds_count") == 2)
    assert Figures(gateway)("emit_to_append_seconds_count") == 2
    assert exemplars(gateway) == set()
    gateway.publish(make_event(time=time, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01"))
    until(lambda: Figures(gateway)("append_to_delivered_seconds_count") == 3)
    assert exemplars(gateway) == {TRACE}


def test_what_a_stream_catches_up_with_is_not_counted_as_live(gateway, receiver, make_event, until):
    sink, other = receiver.sink(), receiver.sink()
    made = gateway.subscribe(sink)
    gateway.publish(make_event())
    sink.wait(1)
    until(lambda: Figures(gateway)("append_to_delivered_seconds_count") == 1)
    before = Figures(gateway)
    gateway.subscription(made, "pause")
    gateway.publish(make_event(), make_event(), make_event())
    gateway.subscription(made, "resume")
    sink.wait(4)
    gateway.subscribe(other, config={"start": "beginning"})
    other.wait(4)
    now = until(lambda: (now := Figures(gateway))("append_to_delivered_seconds_count") == 8 and now)
    for name in ("append_to_first_attempt_seconds_count", "append_to_delivered_seconds_count"):
        assert now(name, feed="live") == before(name, feed="live")
        assert now(name, feed="catch_up") == before(name, feed="catch_up") + 7
    until(lambda: Figures(gateway)("streams", state="following") == 2)
    gateway.publish(make_event())
    until(
        lambda: (
            Figures(gateway)("append_to_delivered_seconds_count", feed="live")
            == 2 + before("append_to_delivered_seconds_count", feed="live")
        )
    )


def test_what_comes_in_for_a_sink_that_is_slow_is_late_and_not_old(gateway, sink, make_event, until):
    gateway.subscribe(sink, config={"max_concurrency": 1, "timeout_s": 15})
    hold = sink.reply_later()
    gateway.publish(*(make_event() for _ in range(6)))
    # It holds the router back and reads the log by itself from here on (S2b): that is no excuse.
    until(lambda: Figures(gateway)("streams", state="catching_up") == 1)
    hold.set()
    sink.wait(6)
    found = until(lambda: (now := Figures(gateway))("append_to_delivered_seconds_count") == 6 and now)
    for name in ("append_to_first_attempt_seconds_count", "append_to_delivered_seconds_count"):
        assert found(name, feed="live") == 6
        assert found(name, feed="catch_up") == 0


def test_what_was_old_for_its_stream_is_known_after_a_restart(make_gateway, receiver, make_event, until):
    """A retry of what lay there when a stream began does not make it late."""
    gateway = make_gateway().start()
    behind, following = (receiver.sink().reply_always(503) for _ in range(2))
    config = {"retry": [4.0] * 100}
    gateway.publish(make_event(), make_event(), make_event())
    gateway.subscribe(behind, config=config | {"start": "beginning"})
    behind.wait(3)
    until(lambda: Figures(gateway)("streams", state="following") == 1)
    gateway.subscribe(following, config=config)
    gateway.publish(make_event())
    until(lambda: len({post.event_id for post in behind.posts}) == 4)
    following.wait(1)
    assert gateway.stop() == 0
    for sink in (behind, following):
        sink.reply_always(200)
    gateway.start()
    found = until(
        lambda: (now := Figures(gateway))("append_to_delivered_seconds_count") == 5 and now, within_s=60
    )
    assert found("append_to_delivered_seconds_count", feed="catch_up") == 3
    assert found("append_to_delivered_seconds_count", feed="live") == 2


def test_no_label_and_no_line_has_a_secret_or_what_has_no_bound(gateway, receiver, make_event, until):
    sink = receiver.sink()
    sink.reply_with(500, {"X-Echo": f"{BEARER} {SECRET} {LONG}"}, f"{BEARER} {SECRET} {LONG}".encode())
    url = f"{sink.url}?sig={BEARER}&long={LONG}"
    receiver.sinks[url.removeprefix(f"http://127.0.0.1:{receiver.port}")] = sink
    gateway.subscribe(
        url,
        secret=SECRET,
        name=LONG[:100],
        sinkcredential={"credentialtype": "ACCESSTOKEN", "accesstoken": BEARER},
        protocolsettings={"headers": {"X-Own": BEARER, "X-Long": LONG}},
    )
    events = [make_event(type=f"type.{LONG}.{number}", subject=LONG, strange=LONG) for number in range(20)]
    gateway.publish(*events)
    # Nor where one is told of what somebody has sent.
    gateway.add(b"{" + BEARER.encode() * 1_000, json.dumps(make_event(type=LONG * 50)).encode()[:-1])
    sink.wait(21)
    until(lambda: Figures(gateway)("events_quarantined_total") == 2)
    until(lambda: len(lines(gateway, message="attempt")) == 21)
    for accept in ("text/plain", "application/openmetrics-text"):
        found = Figures(gateway, accept)
        for sample in found.samples:
            for name, value in sample.labels.items():
                assert re.fullmatch(r"[a-z][a-z_]*", name), name
                assert len(value) <= 64, (sample.name, name, value)
            assert len(sample.exemplar.labels["trace_id"]) == 32 if sample.exemplar else True
        assert len(found.samples) < 400
        assert [
            word for word in (BEARER, SECRET, "xxxx", "type.", "http://", "sub_") if word in found.page
        ] == []
        for name in {sample.name for sample in found.samples}:
            assert sum(sample.name == name for sample in found.samples) <= 64, name
    assert gateway.stop() == 0
    logged = gateway.said_on_stderr()
    assert [word for word in (BEARER, SECRET) if word in logged] == []
    for line in logged.splitlines():
        told = json.loads(line) if line.startswith("{") else {"message": line}
        assert all(
            len(str(value)) <= 257 for name, value in told.items() if name not in {"message", "exception"}
        )
        assert len(line) < 8_000


OTEL = Path(__file__).resolve().parents[2] / "otel"
NAME = re.compile(r"\b((?:letta_gateway|process)_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'([a-z_]+)\s*(=~|!=|!~|=)\s*"([^"]*)"')
OF_PROMETHEUS = {"job", "instance"}


def queries():
    """Every query that the dashboard and the alerts ask, with who asks it."""
    dashboard = json.loads((OTEL / "grafana/letta-gateway.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["query"]["query"]
    for group in yaml.safe_load((OTEL / "alerts/letta-gateway.rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for test in yaml.safe_load((OTEL / "alerts/letta-gateway.test.yml").read_text())["tests"]:
        for series in test["input_series"]:
            yield test["name"], series["series"]


def test_every_figure_that_dashboard_and_alerts_name_is_served(shared, sink, make_event, kind, until):
    shared.subscribe(sink, types=[kind])
    shared.publish(make_event(time="2026-01-01T12:00:00Z"))
    sink.wait(1)
    found = until(lambda: (now := Figures(shared))("journal_batch_attempts_count") >= 1 and now)
    served = {}
    for sample in found.samples:
        for label, value in sample.labels.items():
            served.setdefault(sample.name, {}).setdefault(label, set()).add(value)
        served.setdefault(sample.name, {})
    asked = set()
    for who, query in queries():
        for name, matchers in NAME.findall(query):
            assert name in served, f"{who} asks for {name}, which is not served"
            asked.add(name)
            for label, operator, value in MATCHER.findall(matchers):
                if label in OF_PROMETHEUS or (label, operator) == ("version", "="):
                    continue
                assert label in served[name], f"{who}: {name} has no label {label}"
                if label != "le":  # of buckets that are made up, in the tests of rules
                    matching = [one for one in served[name][label] if re.fullmatch(value, one)]
                    assert matching, f"{who}: {name} has no {label} {value}"
    # And the other way round: what is served and nobody looks at is not worth its lines.
    stems = {
        re.sub(r"_(bucket|sum|count)$", "", name) for name in served if name.startswith("letta_gateway_")
    }
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    assert stems - shown == set()


def test_a_redis_that_says_nothing_is_told_by_what_is_missing(make_gateway, valkey, until):
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    until(lambda: Figures(gateway)("redis_entries") == 0)
    valkey._process.send_signal(signal.SIGSTOP)
    names = {sample.name for sample in Figures(gateway).samples}
    assert "letta_gateway_redis_entries" not in names
    assert "letta_gateway_log_position" in names
    valkey._process.send_signal(signal.SIGCONT)
    until(lambda: "letta_gateway_redis_entries" in {sample.name for sample in Figures(gateway).samples})


def test_by_otlp_the_same_figures_arrive_and_the_last_ones_at_the_end(
    make_gateway, otlp_taker, sink, make_event, until
):
    url = f"{otlp_taker.url}/v1/metrics"
    gateway = make_gateway(
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=url, OTEL_METRIC_EXPORT_INTERVAL="200", OTEL_SERVICE_NAME="hooks"
    ).start()
    gateway.subscribe(sink)
    gateway.publish(*(make_event() for _ in range(5)))
    until(lambda: otlp_taker.figure("letta_gateway_deliveries_delivered") == 5)
    assert otlp_taker.figure("letta_gateway_append_to_delivered_seconds") == 5
    served = {
        re.sub(r"_(total|bucket|sum|count)$", "", sample.name)
        for sample in Figures(gateway).samples
        if not sample.name.endswith("_lag_seconds")
    }
    assert served <= set(otlp_taker.latest), served - set(otlp_taker.latest)
    gateway.publish(make_event())
    sink.wait(6)
    assert gateway.stop() == 0
    assert otlp_taker.figure("letta_gateway_deliveries_delivered") == 6
    assert otlp_taker.services == {"hooks"}


class OtlpTaker(http.server.ThreadingHTTPServer):
    """Takes figures; `latest` has those of the last push, by name."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Takes)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.latest = {}
        self.services = set()

    def take(self, request):
        for resource in request.resource_metrics:
            named = {item.key: item.value.string_value for item in resource.resource.attributes}
            self.services.add(named["service.name"])
            self.latest = {
                metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics
            }

    def figure(self, name):
        metric = self.latest.get(name)
        if metric is None:
            return None
        if metric.HasField("histogram"):
            return sum(point.count for point in metric.histogram.data_points)
        return sum(point.as_int for point in metric.sum.data_points)


class _Takes(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.take(ExportMetricsServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def otlp_taker():
    server = OtlpTaker()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
