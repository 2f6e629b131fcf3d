"""What the CloudEvents extension, W3C Trace Context and OpenTelemetry ask of traces, by row number.

The spans of a whole run are asserted in tests/flows/test_traces.py, those of a real Letta in tests/letta.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
from opentelemetry.trace import SpanKind

from gateway.deliver.posting import Ended
from gateway.deliver.request import AttemptContext, build_request
from gateway.deliver.spans import DeliverySpans, Tried
from gateway.deliver.terms import terms_of
from gateway.domain.delivery import Decision
from gateway.domain.pending import PendingDelivery
from gateway.domain.retry import Answered, Failed, Outcome, Settlement
from gateway.domain.rotation import Secret
from gateway.domain.sending import OutboundRequest, SendErrorKind
from gateway.domain.subscription import SubscriptionSpec
from gateway.ingest.spans import IngestSpans
from gateway.ports import Appended, Entry, Event, Kind, NewEntry
from otel.origin import origin_trace
from otel.sdk import SdkTracing
from otel.traceparent import parse_traceparent
from schemas import Envelope, build

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE, SPAN = GIVEN.split("-")[1:3]
SINK = "https://user:key@example.com:8443/hook?token=abc"
AT_US = 1_767_225_600_000_000


class Record:
    """As much of a subscription as its terms are made of."""

    number, revision, privileged, secrets = 1, 1, False, (Secret("whsec_" + "A" * 32),)
    spec = SubscriptionSpec(sink=SINK)

    class consent:  # noqa: N801 - a stand-in for an attribute
        granted = False


class World:
    """As much of the world as spans need."""

    now = staticmethod(lambda: AT_US)
    random = staticmethod(random.Random(1).randbytes)
    tell_again = staticmethod(lambda _event: None)


@pytest.fixture
def traced() -> tuple[SdkTracing, Callable[[], list[ReadableSpan]]]:
    exporter = InMemorySpanExporter()
    tracing = SdkTracing(DEFAULT_ON, Resource({}), [SimpleSpanProcessor(exporter)], "1")
    return tracing, lambda: list(exporter.get_finished_spans())


def event_of(**attributes: Any) -> Event:
    given = {"specversion": "1.0", "id": "e1", "source": "/s", "type": "t", "subject": "x", **attributes}
    envelope = build({name: value for name, value in given.items() if value is not None}, {"n": 1})
    entry = Entry(7, Kind.EVENT, "t", "/s", "e1", None, AT_US, b"h" * 32, envelope.raw)
    return Event(entry, envelope)


def envelope_of(event: Event) -> Envelope:
    assert event.envelope is not None
    return event.envelope


def request_of(event: Event, span_id: str = "c" * 16) -> OutboundRequest:
    context = AttemptContext(origin_trace(envelope_of(event)).with_span(span_id), AT_US // 1_000_000)
    return build_request(
        event,
        envelope_of(event),
        terms_of(Record, AT_US),  # type: ignore[arg-type] - a stand-in
        context,
        dataschema=None,
        dataref_of=str,
        timeout_s=5,
    )


def attempt(traced: Any, event: Event, outcome: Outcome, error: str | None, **delivery: Any) -> ReadableSpan:
    tracing, spans = traced
    trace = origin_trace(envelope_of(event)).with_span("c" * 16)
    ended = Ended(outcome, trace, AT_US, AT_US + 5)
    settlement = Settlement(Decision.DELIVERED if error is None else Decision.EXHAUSTED, error_class=error)
    terms = terms_of(Record, AT_US)  # type: ignore[arg-type] - a stand-in
    tried = Tried("sub_1", terms, PendingDelivery(1, 7, **delivery), ended, settlement)
    DeliverySpans(tracing, World).attempt(event, tried)  # type: ignore[arg-type] - a stand-in
    return spans()[-1]


def test_row_33_the_start_of_the_trace_is_not_rewritten_per_hop() -> None:
    headers = dict(request_of(event_of(traceparent=GIVEN, tracestate="a=b")).headers)
    assert headers["ce-traceparent"] == GIVEN
    assert headers["ce-tracestate"] == headers["tracestate"] == "a=b"
    assert headers["traceparent"] == f"00-{TRACE}-{'c' * 16}-01"


def test_row_33_the_sampled_flag_is_the_producers() -> None:
    headers = dict(request_of(event_of(traceparent=GIVEN[:-2] + "00")).headers)
    assert headers["traceparent"].endswith("-00")
    assert headers["ce-traceparent"].endswith("-00")


def test_row_40_one_client_span_per_attempt(traced: Any) -> None:
    span = attempt(traced, event_of(traceparent=GIVEN), Answered(204), None)
    assert (span.name, span.kind) == ("POST", SpanKind.CLIENT)
    assert f"{span.parent.span_id:016x}" == SPAN
    assert span.attributes["http.request.method"] == "POST"
    assert span.attributes["server.address"] == "example.com"
    assert span.attributes["server.port"] == 8443
    assert span.attributes["url.full"] == "https://example.com:8443/hook?REDACTED"
    assert span.attributes["http.response.status_code"] == 204
    assert "error.type" not in span.attributes
    assert "http.request.resend_count" not in span.attributes
    assert span.status.is_unset


def test_row_40_a_failure_has_its_type_and_a_retry_its_count_and_link(traced: Any) -> None:
    event = event_of(traceparent=GIVEN)
    span = attempt(traced, event, Failed(SendErrorKind.TLS), "tls", attempts=2, last_span_id="d" * 16)
    assert span.attributes["error.type"] == "tls"
    assert "http.response.status_code" not in span.attributes
    assert span.attributes["http.request.resend_count"] == 2
    assert [(f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") for link in span.links] == [
        (TRACE, "d" * 16)
    ]
    assert not span.status.is_ok
    assert not span.status.is_unset


def test_row_40_after_a_batch_the_link_leads_to_the_batchs_trace(traced: Any) -> None:
    before = {"attempts": 1, "last_span_id": "d" * 16, "last_trace_id": "e" * 32}
    span = attempt(traced, event_of(traceparent=GIVEN), Answered(204), None, **before)
    (link,) = span.links
    assert f"{link.context.trace_id:032x}" == "e" * 32


def test_row_41_events_are_named_on_every_span(traced: Any) -> None:
    span = attempt(traced, event_of(traceparent=GIVEN), Answered(204), None)
    named = {name: value for name, value in span.attributes.items() if name.startswith("cloudevents.")}
    assert named == {
        "cloudevents.event_id": "e1",
        "cloudevents.event_source": "/s",
        "cloudevents.event_spec_version": "1.0",
        "cloudevents.event_subject": "x",
        "cloudevents.event_type": "t",
    }


def test_row_41_ingest_is_a_consumer_and_a_batch_is_linked(traced: Any) -> None:
    tracing, spans = traced
    event = event_of(traceparent=GIVEN)
    entry = NewEntry("t", "/s", "e1", event.entry.envelope or b"", parsed=event.envelope)
    told = IngestSpans(tracing, World.now, stream="letta.events")
    told.from_stream([entry, entry], [Appended(7, duplicate=False), Appended(7, duplicate=True)], AT_US - 9)
    received, ingested = spans()
    assert [span.kind for span in (received, ingested)] == [SpanKind.CONSUMER] * 2
    assert ingested.attributes["messaging.system"] == "redis"
    assert ingested.attributes["messaging.destination.name"] == "letta.events"
    assert ingested.attributes["messaging.operation.name"] == "ingest"
    assert ingested.attributes["cloudevents.event_id"] == "e1"
    assert f"{ingested.parent.span_id:016x}" == SPAN
    assert received.parent is None
    assert received.attributes["messaging.batch.message_count"] == 2
    assert [f"{link.context.span_id:016x}" for link in received.links] == [SPAN]


REQUEST = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.mark.parametrize("given", [None, GIVEN])
@pytest.mark.parametrize(
    ("headers", "linked"),
    [
        ([], []),
        ([REQUEST], ["b" * 16]),
        ([REQUEST[:-1] + "0"], []),
        ([REQUEST, REQUEST], []),
        (["00-zz"], []),
        ([GIVEN], [SPAN]),
    ],
)
def test_row_33_the_requests_own_header_is_linked_and_is_not_the_start_of_the_trace(
    traced: Any, headers: list[str], linked: list[str], given: str | None
) -> None:
    tracing, spans = traced
    event = event_of(traceparent=given)
    entry = NewEntry("t", "/s", "e1", event.entry.envelope or b"", parsed=event.envelope)
    told = IngestSpans(tracing, World.now, stream="letta.events")
    told.from_http([entry], [Appended(7, duplicate=False)], AT_US - 9, headers)
    (ingested,) = spans()
    assert f"{ingested.context.trace_id:032x}" == origin_trace(envelope_of(event)).trace_id
    # Below its parent already: nothing is linked twice.
    wanted = [] if headers == [given] else linked
    assert [f"{link.context.span_id:016x}" for link in ingested.links] == wanted
    assert [dict(link.attributes) for link in ingested.links] == [{"letta_gateway.link": "request"}] * len(
        wanted
    )


@pytest.mark.parametrize(
    "traceparent",
    ["00-" + "0" * 32 + "-00f067aa0ba902b7-01", GIVEN.upper(), GIVEN + "-more", "ff" + GIVEN[2:], "x"],
)
def test_row_47_an_invalid_traceparent_is_not_propagated_as_valid(traceparent: str) -> None:
    headers = dict(request_of(event_of(traceparent=traceparent, tracestate="a=b")).headers)
    assert "ce-traceparent" not in headers
    assert "tracestate" not in headers
    ours = parse_traceparent(headers["traceparent"])
    assert ours is not None
    assert headers["traceparent"].startswith("00-")
    assert len(headers["traceparent"]) == 55
    assert (
        ours.trace_id
        == origin_trace(build({"specversion": "1.0", "id": "e1", "source": "/s", "type": "t"})).trace_id
    )
