"""Instruments, and their text as somebody else's parser reads it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from otel.metrics import (
    LABEL_CHARS_MAX,
    LABEL_SETS_MAX,
    OTHER,
    SECONDS,
    Counter,
    Durations,
    Family,
    Kind,
    Numbers,
    Sample,
    gauge,
    gauges,
    histogram,
)
from otel.metrics_text import render, wants_openmetrics

TRACE = "0123456789abcdef" * 2
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def parsed(families, *, openmetrics):
    parse = parse_openmetrics if openmetrics else parse_text
    return {family.name: family for family in parse(render(families, openmetrics=openmetrics))}


def figures(family):
    return {(sample.name, *sorted(sample.labels.items())): sample.value for sample in family.samples}


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("Application/OpenMetrics-Text; version=1.0.0; charset=utf-8", True),
        ("application/openmetrics-text;version=2.0.0", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.5", False),
        ("application/openmetrics-text;q=x", False),
        ("application/json", False),
        (PROMETHEUS, True),
        ("," * 10_000 + "application/openmetrics-text", False),
    ],
)
def test_accept_is_read_as_rfc_9110_has_it(accept, wanted):
    assert wants_openmetrics(accept) is wanted


def test_a_counter_counts_by_label_values_and_shows_the_known_at_nothing():
    counter = Counter("c", "Counts.", ("a",), known=[("x",), ("y",)])
    counter.add("x")
    counter.add("x", by=2)
    counter.add("z")
    for openmetrics in (False, True):
        found = parsed([counter.family()], openmetrics=openmetrics)["c"]
        assert figures(found) == {
            ("c_total", ("a", "x")): 3,
            ("c_total", ("a", "y")): 0,
            ("c_total", ("a", "z")): 1,
        }


def test_label_sets_and_label_values_have_a_bound():
    counter = Counter("c", "Counts.", ("a",))
    for number in range(10 * LABEL_SETS_MAX):
        counter.add(f"{number}" * 1_000)
    samples = counter.family().samples
    assert len(samples) == LABEL_SETS_MAX + 1
    assert max(len(value) for sample in samples for _, value in sample.labels) <= LABEL_CHARS_MAX
    assert dict(samples[-1].labels) == {"a": OTHER}
    assert sum(sample.value for sample in samples) == 10 * LABEL_SETS_MAX


@given(st.lists(st.integers(min_value=-(10**9), max_value=10**13)))
def test_a_histogram_has_every_observation_in_one_bucket(durations_us):
    durations = Durations((("feed", "live"),))
    for duration_us in durations_us:
        durations.observe(duration_us)
    found = figures(parsed([histogram("h_seconds", "How long.", durations)], openmetrics=True)["h_seconds"])
    feed = ("feed", "live")
    for bound in (*SECONDS, math.inf):
        text = "+Inf" if bound == math.inf else repr(bound)
        below = sum(item / 1e6 <= bound for item in durations_us)
        assert found["h_seconds_bucket", feed, ("le", text)] == below
    assert found["h_seconds_count", feed] == len(durations_us)
    assert found["h_seconds_sum", feed] == pytest.approx(sum(max(0, item) for item in durations_us) / 1e6)


def test_exemplars_are_in_openmetrics_alone_and_keep_the_latest_trace_of_each_bucket():
    durations = Durations()
    durations.observe(3_000, "f" * 32, 1_700_000_000_000_000)
    durations.observe(4_000, TRACE, 1_700_000_000_500_000)
    durations.observe(20_000)
    family = histogram("h_seconds", "How long.", durations)
    assert TRACE not in render([family], openmetrics=False)
    found = parsed([family], openmetrics=True)["h_seconds"]
    exemplars = {sample.labels["le"]: sample.exemplar for sample in found.samples if sample.exemplar}
    assert list(exemplars) == ["0.005"]
    assert exemplars["0.005"].labels == {"trace_id": TRACE}
    assert exemplars["0.005"].value == 0.004
    assert float(exemplars["0.005"].timestamp) == 1_700_000_000.5


def test_every_kind_reads_as_what_it_is():
    sizes = Numbers()
    sizes.observe(7)
    families = [
        gauge("g", "A gauge.", 5),
        gauge("unknown", "Not known now.", None),
        gauge("b_bytes", "Bytes.", 2.5, unit="bytes"),
        gauges("r", "Checks.", "check", {"redis": 1, "database": 0}),
        Family("build", Kind.INFO, "Which.", [Sample(1, (("version", "1"),))]),
        Family("cpu_seconds", Kind.COUNTER, "Time.", [Sample(0.25)], unit="seconds"),
        histogram("sizes", "How many.", sizes),
    ]
    found = parsed(families, openmetrics=True)
    assert {name: family.type for name, family in found.items()} == {
        "g": "gauge",
        "b_bytes": "gauge",
        "r": "gauge",
        "build": "info",
        "cpu_seconds": "counter",
        "sizes": "histogram",
    }
    assert found["b_bytes"].unit == "bytes"
    text = parsed(families, openmetrics=False)
    assert text["build_info"].type == "gauge"
    assert text["cpu_seconds"].type == "counter"
    assert figures(text["sizes"])["sizes_bucket", ("le", "10.0")] == 1


@given(st.text())
def test_whatever_a_label_says_is_escaped(said):
    family = gauges("g", 'Of "this" and \\ that\nand more.', "a", {said: 1})
    for openmetrics in (False, True):
        (sample,) = parsed([family], openmetrics=openmetrics)["g"].samples
        assert sample.labels == {"a": said}
