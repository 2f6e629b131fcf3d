"""The SDK's limits of spans hold for ours, which its own `Tracer` never sees; without them nothing is cut anew."""

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import DEFAULT_ON

from otel.limits import Limits
from otel.sdk import SdkTracing, open_tracing
from otel.spans import EndedSpan, Kind, SpanLink
from otel.traceparent import derive

NUMBERS = {f"n{number}": number for number in range(10)}


@pytest.fixture
def told(monkeypatch):
    def tell(**environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        exporter = InMemorySpanExporter()
        limits = Limits.from_variables()
        tracing = SdkTracing(DEFAULT_ON, Resource({}), [SimpleSpanProcessor(exporter)], "1", limits=limits)
        links = [
            SpanLink(derive(str(number)), {"letta_gateway.link": "event", "n": number}) for number in range(5)
        ]
        attributes = {"text": "é" * 50, **NUMBERS}
        tracing.record(EndedSpan("POST", Kind.CLIENT, derive("a"), None, 1, 2, attributes, links))
        (span,) = exporter.get_finished_spans()
        return span

    return tell


def test_without_variables_there_is_no_limit_of_its_own(told):
    assert Limits.from_variables() is None
    span = told()
    assert span.attributes == {"text": "é" * 50, **NUMBERS}
    assert (len(span.links), span.dropped_attributes) == (5, 0)


@pytest.mark.parametrize(
    "name", ["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"]
)
def test_values_are_cut(told, name):
    span = told(**{name: "3"})
    assert span.attributes["text"] == "ééé"
    assert span.attributes["n9"] == 9
    everywhere = not name.startswith("OTEL_SPAN")
    assert span.links[0].attributes["letta_gateway.link"] == ("eve" if everywhere else "event")


@pytest.mark.parametrize("name", ["OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"])
def test_attributes_are_counted_and_what_was_dropped_is_said(told, name):
    span = told(**{name: "1"})
    assert (dict(span.attributes), span.dropped_attributes) == ({"n9": 9}, 10)
    assert len(span.links[0].attributes) == (1 if name == "OTEL_ATTRIBUTE_COUNT_LIMIT" else 2)


def test_links_are_counted(told):
    span = told(OTEL_SPAN_LINK_COUNT_LIMIT="2", OTEL_LINK_ATTRIBUTE_COUNT_LIMIT="1")
    assert [dict(link.attributes) for link in span.links] == [{"n": 0}, {"n": 1}]
    assert [link.dropped_attributes for link in span.links] == [1, 1]


@pytest.mark.parametrize("value", ["", "1000"])
def test_what_asks_for_no_less_costs_nothing(monkeypatch, value):
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", value)
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", value)
    assert Limits.from_variables() is None


def test_the_set_up_reads_them(monkeypatch):
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    tracing = open_tracing(("console",), "1")
    assert tracing._limits is not None
    tracing.close(1)
