"""Whatever text comes in, a parser reads it or says in its own way that it cannot; nothing else ever leaves it."""

import base64
import contextlib
import json
from types import MappingProxyType

import pytest
from faststream.redis.parser import BinaryMessageFormatV1
from hypothesis import given
from hypothesis import strategies as st

import contracts
from contracts.validation import Validator
from gateway.adapters.http.guard import EgressPolicy, check_url
from gateway.adapters.stream_entries import raw_entry
from gateway.adapters.vault import Keyring, KeyringError, VaultError
from gateway.cli.sse import parse_events
from gateway.domain.filters import parse_filters
from gateway.domain.header_lines import HeaderLines
from gateway.domain.ids import decode_cursor, encode_cursor, parse_delivery_id
from gateway.domain.payload_links import PayloadLinks
from gateway.domain.replay_input import parse_replay
from gateway.domain.retry_after import parse_retry_after
from gateway.domain.sending import SendError, SinkRefused
from gateway.domain.signing import check_secret
from gateway.domain.subscription import SubscriptionSpec
from gateway.domain.subscription_input import parse_patch, parse_replacement, parse_subscription
from gateway.errors import GatewayError
from gateway.ingest.door import Door, DoorPolicy
from gateway.ingest.stream import StreamIngest
from gateway.settings import Settings, SettingsError, load_settings
from otel.traceparent import parse_traceparent, valid_tracestate
from schemas import (
    EnvelopeError,
    parse_binary,
    parse_http,
    parse_source,
    parse_structured,
    to_binary,
    to_structured,
)
from schemas.rfc3339 import is_timestamp
from schemas.uri import is_absolute, is_reference

NAMES = ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data"]
NAMES += [
    "data_base64",
    "traceparent",
    "tracestate",
    "partitionkey",
    "sequence",
    "expirytime",
    "Bad-Name",
    "",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
LATIN = st.text(st.characters(max_codepoint=255), max_size=60)
RIGHT = {"specversion": "1.0", "id": "1", "source": "/a", "type": "t"}
EVENTS = st.fixed_dictionaries(
    {}, optional={name: JSON | st.sampled_from(["1.0", "/a", "application/json", "AAAA"]) for name in NAMES}
).flatmap(lambda given: st.sampled_from([given, RIGHT | given, given | RIGHT]))
CUT = st.tuples(st.integers(0, 400), st.binary(max_size=3), st.integers(0, 5))


@st.composite
def damaged(draw, documents):
    """A document in JSON, as it is or with some bytes of it in the middle changed."""
    raw = json.dumps(draw(documents)).encode()
    if draw(st.booleans()):
        at, put, drop = draw(CUT)
        raw = raw[:at] + put + raw[at + drop :]
    return raw


BYTES = st.binary(max_size=200) | damaged(EVENTS) | damaged(st.lists(EVENTS, max_size=3)) | damaged(JSON)


@given(BYTES)
def test_structured_events(raw):
    try:
        envelope = parse_structured(raw)
    except EnvelopeError:
        return
    headers, body = to_binary(envelope)
    assert parse_binary(headers, body).id == envelope.id
    assert parse_structured(to_structured(envelope)).id == envelope.id


KINDS = [
    "application/cloudevents+json",
    "application/cloudevents-batch+json; charset=utf-8",
    "application/json",
]
KINDS += ["application/cloudevents+xml", "text/plain; charset=x", ";;;", ""]
HEADERS = st.lists(
    st.tuples(st.sampled_from([f"ce-{name}" for name in NAMES] + ["Content-Type", "CE-ID"]) | LATIN, LATIN)
    | st.sampled_from([(f"ce-{name}", value) for name, value in RIGHT.items()]),
    max_size=10,
)


@given(HEADERS, st.sampled_from(KINDS) | LATIN, BYTES)
def test_requests_in_every_mode(headers, kind, body):
    try:
        found = parse_http([("content-type", kind), *headers], body, events_max=3)
    except EnvelopeError:
        return
    assert len(found) <= 3


@pytest.mark.parametrize("depth", [1, 60, 64, 65, 1_000, 100_000])
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
def test_depth(depth, brackets):
    inside = brackets[0] * depth + "1" + brackets[1] * depth
    raw = f'{{"specversion":"1.0","id":"1","source":"/a","type":"t","data":{inside}}}'.encode()
    for text in (raw, raw[: len(raw) // 2], inside.encode()):
        try:
            parse_structured(text)
        except EnvelopeError:
            continue


class _Known:
    files = contracts.load()
    validator = Validator(files)

    def knows(self, type_):
        return type_ in self.files.types()

    def validate(self, type_, data, _dataschema):
        return self.validator.validate(type_, data)


INGEST = StreamIngest(
    Door(_Known(), DoorPolicy(fact_source="http://gateway/gateway", event_bytes_max=65_536)), None, stream="s"
)
FRAME = BinaryMessageFormatV1.IDENTITY_HEADER
FIELDS = st.dictionaries(
    st.sampled_from([b"__data__", b"event", b"cloudevent", b"data"]) | st.binary(max_size=10),
    BYTES | st.binary(max_size=40).map(lambda rest: FRAME + rest) | BYTES.map(lambda rest: FRAME + rest),
    max_size=3,
)


@given(st.none() | FIELDS)
def test_entries_of_the_stream_are_taken_or_put_aside(fields):
    judged = INGEST.judge([raw_entry(b"1-1", fields)])
    assert len(judged.entries) + len(judged.quarantine) == 1


LETTA = st.builds(
    lambda source, data: {**RIGHT, "type": "com.letta.agent.step.completed", "source": source, "data": data},
    st.sampled_from(["https://letta/organizations/o/agents/a", "https://letta/organizations/%00/agents/%ff"])
    | st.text(max_size=30),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("event_id", "event_type", "agent_id", "organization_id", "data"), JSON),
    ),
)


@given(damaged(LETTA))
def test_letta_s_events(raw):
    judged = INGEST.judge([raw_entry(b"1-1", {b"event": raw})])
    assert len(judged.entries) + len(judged.quarantine) == 1


DIALECTS = st.sampled_from(["exact", "prefix", "suffix", "all", "any", "not", "sql"]) | st.text(max_size=5)
TREES = st.recursive(
    st.dictionaries(
        DIALECTS, st.dictionaries(st.sampled_from(NAMES), SCALARS, max_size=3) | JSON, max_size=2
    ),
    lambda inner: st.dictionaries(DIALECTS, st.lists(inner, max_size=3) | inner, max_size=2),
    max_leaves=12,
)


@given(
    st.lists(TREES, max_size=3) | JSON,
    st.dictionaries(st.sampled_from(NAMES), st.text(max_size=9), max_size=4),
)
def test_filters(value, attributes):
    filters, problems = parse_filters(value, "/filters")
    if not problems:
        told = filters.to_json()
        again, none = parse_filters(told, "/filters")
        assert (again.to_json(), none) == (told, [])
        assert filters.matches(attributes) == (filters.explain(attributes) is None)
        filters.trace(attributes)


MEMBERS = (
    "sink",
    "source",
    "types",
    "filters",
    "config",
    "name",
    "labels",
    "organization",
    "secret",
    "protocol",
)
MEMBERS += ("protocolsettings", "sinkcredential", "description", "id", "state", "x")
CONFIG = st.dictionaries(
    st.sampled_from(
        ["format", "ordering", "payload", "retry", "start", "timeout_s", "max_per_second", "signing"]
    ),
    JSON | st.sampled_from(["batch", "partitionkey", "thin", "beginning", "2026-01-01T00:00:00Z"]),
    max_size=5,
)
RESOURCES = st.dictionaries(st.sampled_from(MEMBERS), JSON | CONFIG, max_size=6).map(
    lambda members: {"sink": "https://example.com/"} | members
)
PREVIOUS = SubscriptionSpec(sink="https://example.com/", headers=MappingProxyType({"X-A": "b"}))


@given(JSON | RESOURCES)
def test_subscriptions(value):
    asked, problems = parse_subscription(value)
    assert (asked is None) == bool(problems)
    if asked is not None:
        assert SubscriptionSpec.from_json(json.loads(json.dumps(asked.spec.to_json()))) == asked.spec
    for parse in (parse_replacement, parse_patch):
        spec, problems = parse(value, previous=PREVIOUS, organization="org-1")
        assert (spec is None) == bool(problems)
    asked_replay, problems = parse_replay(value)
    assert asked_replay is not None or problems


PIECES = [
    "http://",
    "https://",
    "//",
    "@",
    ":",
    "[",
    "]",
    "::1",
    "127.0.0.1",
    "0x7f.1",
    "%00",
    "%2f",
    "\\",
    "#",
    "?",
]
PIECES += [
    "example.com",
    ".",
    "①②⑦",
    "ⓛocalhost",
    "xn--",
    "\r\n",
    "\0",
    "169.254.169.254",
    "65536",
    "::ffff:",
    "/",
]
URLS = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=9).map("".join)


@given(URLS | URLS.map("http://".__add__), st.booleans())
def test_sinks(url, privileged):
    try:
        target = check_url(url, EgressPolicy(), privileged=privileged)
    except SinkRefused:
        return
    assert target.head
    assert target.authority
    assert "\r" not in target.head.decode("latin-1").split("\r\n")[0]


TEXTS = st.text(max_size=80) | st.text("AZaz09-_=.", max_size=80)


@given(TEXTS | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")))
def test_cursors(text):
    for kind in ("events-asc", "quarantine", "vault", ""):
        found = decode_cursor(kind, text)
        assert found is None or encode_cursor(kind, *found) == text
    parse_delivery_id(text)
    PayloadLinks("https://gateway.example", [bytes(32)]).accepts(text, text)
    check_secret(text)


DATES = st.sampled_from(
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)


@given(
    TEXTS
    | st.integers().map(str)
    | DATES
    | st.tuples(DATES, CUT).map(lambda t: t[0][: t[1][0] % 30] + str(t[1][2]))
)
def test_retry_after(text):
    found = parse_retry_after(text, 1_767_225_600.5)
    assert found is None or 0 <= found < float("inf")


HEXES = st.text("0123456789abcdefABCDEF-", max_size=60)
TRACES = st.builds(
    "{}-{}-{}-{}{}".format,
    st.sampled_from(["00", "01", "ff", "0"]) | HEXES,
    st.sampled_from(["1" * 32, "0" * 32]) | HEXES,
    st.sampled_from(["2" * 16, "0" * 16]) | HEXES,
    st.sampled_from(["00", "01", "ff"]) | HEXES,
    st.sampled_from(["", "-x", "\n"]),
)


@given(TRACES | TEXTS, TEXTS | st.lists(st.text("az09=,@ \t", max_size=20), max_size=40).map(",".join))
def test_traces(text, state):
    found = parse_traceparent(text)
    assert found is None or len(found.trace_id) == 32
    valid_tracestate(state)


@given(st.text(max_size=60))
def test_small_texts(text):
    for read in (is_timestamp, is_reference, is_absolute, parse_source):
        read(text)


@given(st.lists(st.tuples(LATIN | st.text(max_size=20), LATIN | st.text(max_size=20)), max_size=5))
def test_header_lines(headers):
    try:
        lines = HeaderLines.of(headers)
    except SendError:
        return
    assert len(lines) == len(headers)


@given(
    st.lists(st.binary(max_size=60) | st.sampled_from([b"data: x\n", b"id: 1\r\n\r\n", b"\n\n"]), max_size=12)
)
def test_server_events(chunks):
    with contextlib.suppress(GatewayError):
        list(parse_events(chunks, 200))


NAMES_OF_SETTINGS = [f"GATEWAY_{name.upper()}" for name in Settings.model_fields]


@given(st.dictionaries(st.sampled_from(NAMES_OF_SETTINGS), TEXTS | URLS | st.integers().map(str), max_size=6))
def test_settings(environ):
    with contextlib.suppress(SettingsError):
        load_settings(environ)


@given(TEXTS, st.binary(max_size=90))
def test_the_vault(keys, sealed):
    with contextlib.suppress(KeyringError):
        Keyring.parse(keys)
    ring = Keyring((bytes(32),))
    head = ring.seal(b"x", kind="k", owner="o", revision=1)
    for blob in (sealed, head[:9] + sealed, head[:-1] + sealed[:1]):
        if blob == head:
            continue
        with pytest.raises(VaultError):
            ring.open(blob, kind="k", owner="o", revision=1)
