from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.credentials import AccessToken
from gateway.domain.filters import filters_from
from gateway.domain.signing import new_secret
from gateway.domain.subscription import (
    Config,
    Format,
    Handshake,
    Ordering,
    Signing,
    StartAt,
    SubscriptionSpec,
    selector_from,
    sink_origin,
)
from gateway.domain.subscription_input import (
    SubscriptionInput,
    merge_patch,
    parse_patch,
    parse_replacement,
    parse_subscription,
)

SINK = "https://receiver.example/hooks?key=1"
SECRET = new_secret(bytes(range(32)))
TOKEN = "ya29.a-token_of-theirs=="

WHOLE: dict[str, Any] = {
    "name": "Billing",
    "description": "What a run cost.\nAsk the billing team.",
    "labels": {"team": "billing", "example.com/tier": "1"},
    "source": "https://letta/organizations/org-1/agents/agent-1",
    "types": ["agent.step.completed", "com.letta.agent.run.completed"],
    "filters": [{"exact": {"partitionkey": "agent-1"}}],
    "config": {
        "format": "structured",
        "ordering": "none",
        "payload": "full",
        "signing": ["v1"],
        "max_concurrency": 4,
        "timeout_s": 2.5,
        "retry": [0.5, 30, 3600],
        "start": "beginning",
        "handshake": "off",
    },
    "sink": SINK,
    "sinkcredential": {"credentialtype": "ACCESSTOKEN", "accesstoken": TOKEN},
    "protocol": "HTTP",
    "protocolsettings": {"headers": {"X-Tenant": "seven"}},
}


def made(value: object) -> SubscriptionInput:
    asked, problems = parse_subscription(value)
    assert problems == []
    assert asked is not None
    return asked


def spec_of(**members: Any) -> SubscriptionSpec:
    return made({"sink": SINK, **members}).spec


def pointers(value: object) -> list[str]:
    asked, problems = parse_subscription(value)
    assert asked is None
    assert problems
    return [problem.pointer for problem in problems]


def sentence(**members: Any) -> str:
    (problem,) = parse_subscription({"sink": SINK, **members})[1]
    return problem.detail


def test_the_least_is_a_sink() -> None:
    asked = made({"sink": SINK})
    assert asked == SubscriptionInput(SubscriptionSpec(sink=SINK), None, None)
    assert asked.spec.config == Config(format=Format.BINARY, start=StartAt.NOW)
    assert asked.spec.view() == {
        "sink": SINK,
        "protocol": "HTTP",
        "config": {
            "format": "binary",
            "ordering": "none",
            "payload": "full",
            "signing": ["v1"],
            "start": "now",
            "handshake": "off",
        },
    }


def test_the_whole_resource_is_read_and_written_back() -> None:
    asked = made({**WHOLE, "organization": "org-1", "secret": SECRET})
    assert (asked.organization, asked.secret) == ("org-1", SECRET)
    spec = asked.spec
    assert spec.to_json() == WHOLE
    assert list(spec.config.retry or ()) == [0.5, 30, 3600]
    assert spec.bearer_token == TOKEN
    assert dict(spec.headers) == {"X-Tenant": "seven"}
    assert spec.filters == filters_from(WHOLE["filters"])
    assert SubscriptionSpec.from_json(spec.to_json()) == spec


def test_conformance_36_a_given_id_is_ignored() -> None:
    assert made({"sink": SINK, "id": "mine"}) == made({"sink": SINK})
    assert made({"sink": SINK, "id": {"any": "thing"}}) == made({"sink": SINK})


def test_conformance_36_credentials_are_write_only() -> None:
    spec = made(WHOLE).spec
    assert spec.view()["sinkcredential"] == {"credentialtype": "ACCESSTOKEN"}
    assert TOKEN not in str(spec.view())
    hidden = {"sinkcredential": None, "protocolsettings": None}
    assert spec.view() | hidden == WHOLE | hidden


def test_the_value_of_a_header_is_not_shown_and_stays_where_it_is_given_back_so() -> None:
    spec = made(WHOLE).spec
    shown = spec.view()["protocolsettings"]
    assert shown == {"headers": {"X-Tenant": "***"}}
    assert replaced({"sink": SINK, "protocolsettings": shown}, spec).headers == {"X-Tenant": "seven"}
    assert patched({"protocolsettings": shown}, spec).headers == {"X-Tenant": "seven"}
    unknown = {"sink": SINK, "protocolsettings": {"headers": {"X-Other": "***"}}}
    (problem,) = parse_replacement(unknown, previous=spec, organization="org-1")[1]
    assert problem.pointer == "/protocolsettings/headers/X-Other"


def test_nothing_secret_is_in_a_repr() -> None:
    asked = made({**WHOLE, "secret": SECRET})
    for secret in (TOKEN, SECRET, "key=1", "seven"):
        assert secret not in repr(asked)


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_something_else_than_an_object(value: object) -> None:
    assert "" in pointers(value)


def test_all_faults_are_told_at_once() -> None:
    assert pointers(
        {
            "colour": "red",
            "source": "no uri",
            "types": ["", None],
            "filters": [{"sql": "TRUE"}, {"exact": {"type": ""}}],
            "config": {"format": "xml", "retry": "often", "speed": 1},
            "sinkcredential": {"credentialtype": "PLAIN"},
            "protocol": "MQTT5",
            "protocolsettings": {"headers": {"Host": "x"}, "topicname": "t"},
            "labels": {"team": 1},
            "secret": "whsec_short",
        }
    ) == [
        "/colour",
        "/sink",
        "/source",
        "/types/1",
        "/types/0",
        "/filters/0/sql",
        "/filters/1/exact/type",
        "/config/speed",
        "/config/format",
        "/config/retry",
        "/protocol",
        "/protocolsettings/topicname",
        "/protocolsettings/headers/Host",
        "/sinkcredential/credentialtype",
        "/labels/team",
        "/secret",
    ]


def test_an_unknown_member_is_told_the_known_ones() -> None:
    assert sentence(colour="red").startswith("unknown member; allowed are `name`, `description`, `labels`,")
    assert len(pointers({"sink": SINK, **{f"x{n}": 1 for n in range(500)}})) == 20


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "sink"])
def test_null_is_absent(name: str) -> None:
    assert made({**WHOLE, name: None}) == made({key: value for key, value in WHOLE.items() if key != name})


@pytest.mark.parametrize("name", list(WHOLE["config"]))
def test_null_in_config_is_absent(name: str) -> None:
    assert spec_of(config={name: None}) == spec_of()


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("sink", None),
        ("sink", ""),
        ("sink", 7),
        ("sink", "https://receiver.example/\r\nX: y"),
        ("sink", "https://" + "x" * 2048),
        ("source", ""),
        ("source", "has space"),
        ("types", "agent.step.completed"),
        ("types", ["x"] * 257),
        ("name", ""),
        ("name", "two\nlines"),
        ("name", "x" * 201),
        ("description", "bell\x07"),
        ("description", "x" * 2001),
        ("labels", []),
        ("labels", {f"l{n}": "x" for n in range(33)}),
        ("organization", ""),
        ("organization", 1),
        ("protocol", "http"),
        ("protocol", ["HTTP"]),
        ("protocol", {}),
        ("protocolsettings", []),
        ("config", []),
        ("config", "binary"),
        ("sinkcredential", "token"),
        ("secret", 5),
        ("secret", "password"),
    ],
)
def test_what_is_refused(member: str, value: object) -> None:
    found = pointers({"sink": SINK, member: value})
    assert {pointer.split("/")[1] for pointer in found} == {member}


@pytest.mark.parametrize("name", ["", "a b", "-a", "a-", "\u00e9", "x" * 65])
def test_names_of_labels(name: str) -> None:
    assert pointers({"sink": SINK, "labels": {name: "x"}}) == [f"/labels/{name}"]


def test_types_are_each_kept_once() -> None:
    assert spec_of(types=["b", "a", "b"]).types == ("b", "a")
    assert spec_of(types=[]).types == ()


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("max_concurrency", 0),
        ("max_concurrency", 257),
        ("max_concurrency", 1.5),
        ("max_concurrency", True),
        ("timeout_s", 0),
        ("timeout_s", 15.5),
        ("timeout_s", "5"),
        ("timeout_s", float("inf")),
        ("timeout_s", float("nan")),
        ("retry", 5),
        ("retry", [5, "5"]),
        ("retry", [-1]),
        ("retry", [True]),
        ("retry", [float("inf")]),
        ("retry", [7 * 24 * 3600 + 1]),
        ("retry", [1] * 101),
        ("signing", "v1"),
        ("signing", []),
        ("signing", ["v2"]),
        ("signing", ["v1", "v2"]),
        ("signing", ["v1", ["v1"]]),
        ("signing", ["v1", "v1", "v1"]),
        ("format", "XML"),
        ("format", ["binary"]),
        ("start", "tomorrow"),
        ("start", -1),
        ("start", 2**63),
        ("start", 1.5),
        ("start", True),
        ("start", "2026-01-01"),
        ("start", "2026-01-01T00:00:00"),
        ("start", "2026-02-30T00:00:00Z"),
        ("start", "2016-12-31T23:59:60Z"),
        ("handshake", True),
        ("batch_events_max", 10),
    ],
)
def test_config_has_bounds(member: str, value: object) -> None:
    assert pointers({"sink": SINK, "config": {member: value}}) == [f"/config/{member}"]


def test_signatures_and_the_handshake_are_taken() -> None:
    asked, problems = parse_subscription(
        {"sink": SINK, "config": {"signing": ["v1", "v1a"], "handshake": "required"}}
    )
    assert not problems
    assert asked is not None
    assert asked.spec.config == Config(signing=(Signing.V1, Signing.V1A), handshake=Handshake.REQUIRED)


def test_order_batches_and_rates_are_taken() -> None:
    config = {
        "format": "batch",
        "batch_events_max": 10,
        "batch_bytes_max": 65_536,
        "batch_age_s": 0.5,
        "ordering": "partitionkey",
        "max_per_second": 0.5,
    }
    asked, problems = parse_subscription({"sink": SINK, "config": config})
    assert not problems
    assert asked is not None
    assert asked.spec.config == Config(
        format=Format.BATCH,
        batch_events_max=10,
        batch_bytes_max=65_536,
        batch_age_s=0.5,
        ordering=Ordering.PARTITIONKEY,
        max_per_second=0.5,
    )


@pytest.mark.parametrize("sink", ["pull:", "PULL:"])
def test_s10b_a_pull_only_subscription(sink: str) -> None:
    spec = made({"sink": sink, "config": {"start": "beginning"}}).spec
    assert spec.pull_only
    assert spec.sink == "pull:"
    assert not made({"sink": SINK}).spec.pull_only
    # What a view shows can be handed back: a default says nothing about posting.
    again, problems = parse_replacement(spec.view(), previous=spec, organization="*")
    assert problems == []
    assert again == spec


@pytest.mark.parametrize("sink", ["pull:x", "pull://host/", "Pull:?after=1"])
def test_s10b_nothing_stands_behind_pull(sink: str) -> None:
    assert "nothing behind it" in sentence(sink=sink)


def test_s10b_what_says_how_events_are_posted_is_refused_all_at_once() -> None:
    _, problems = parse_subscription(
        {
            "sink": "pull:",
            "config": {"format": "structured", "max_concurrency": 4, "timeout_s": 2.5, "retry": []},
            "sinkcredential": {"credentialtype": "ACCESSTOKEN", "accesstoken": TOKEN},
            "protocolsettings": {"headers": {"X-Tenant": "seven"}},
        }
    )
    assert {problem.pointer for problem in problems} == {
        "/config/format",
        "/config/max_concurrency",
        "/config/timeout_s",
        "/config/retry",
        "/sinkcredential",
        "/protocolsettings",
    }
    assert all("leave it out" in problem.detail for problem in problems)


def test_s10b_a_patch_between_push_and_pull() -> None:
    pushed = made({"sink": SINK, "config": {"retry": [1]}}).spec
    spec, problems = parse_patch({"sink": "pull:"}, previous=pushed, organization="*")
    assert spec is None
    assert [problem.pointer for problem in problems] == ["/config/retry"]
    pulled, problems = parse_patch(
        {"sink": "pull:", "config": {"retry": None}}, previous=pushed, organization="*"
    )
    assert problems == []
    assert pulled is not None
    assert pulled.pull_only
    back, _ = parse_patch({"sink": SINK}, previous=pulled, organization="*")
    assert back is not None
    assert not back.pull_only


@pytest.mark.parametrize(
    ("given_start", "start"),
    [
        ("now", StartAt.NOW),
        ("beginning", StartAt.BEGINNING),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        ("2026-01-01T12:00:00Z", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("2026-01-01t12:00:00.25z", datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-01-01T14:00:00.123456789+02:00", datetime(2026, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_where_a_stream_may_start(given_start: object, start: object) -> None:
    spec = spec_of(config={"start": given_start})
    assert spec.config.start == start
    assert SubscriptionSpec.from_json(spec.to_json()).config.start == start


def test_an_empty_schedule_is_one_attempt_and_not_the_default() -> None:
    assert spec_of(config={"retry": []}).config.retry == ()
    assert spec_of().config.retry is None
    assert SubscriptionSpec.from_json(spec_of(config={"retry": []}).to_json()).config.retry == ()


RESERVED = [
    *("Host", "Connection", "Transfer-Encoding", "TE", "Trailer", "Upgrade", "Expect", "Keep-Alive"),
    *("Content-Type", "content-length", "CONTENT-ENCODING", "Proxy-Authorization"),
    *("ce-id", "Ce-Type", "webhook-id", "webhook-signature", "WebHook-Request-Origin"),
    # To CGI and WSGI an underscore is a hyphen.
    *("x_letta_signature", "webhook_signature", "CE_ID", "Content_Type"),
    *("X-Letta-Event", "x-letta-signature", "traceparent", "tracestate", "User-Agent", "Authorization"),
]


@pytest.mark.parametrize("name", RESERVED)
def test_reserved_headers_are_refused(name: str) -> None:
    assert pointers({"sink": SINK, "protocolsettings": {"headers": {name: "x"}}}) == [
        f"/protocolsettings/headers/{name}"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("X Y", "x"),
        ("X:", "x"),
        ("X\r\nY", "x"),
        ("\u00e9", "x"),
        ("x" * 129, "x"),
        ("X", ""),
        ("X", " padded"),
        ("X", "padded "),
        ("X", "a\r\nHost: b"),
        ("X", "a\nb"),
        ("X", "a\x00b"),
        ("X", "gr\u00fc\u00df"),
        ("X", "x" * 4097),
        ("X", 7),
        ("X", None),
        ("X", ["x"]),
    ],
)
def test_headers_that_could_break_a_request_are_refused(name: str, value: object) -> None:
    assert pointers({"sink": SINK, "protocolsettings": {"headers": {name: value}}}) == [
        f"/protocolsettings/headers/{name}"
    ]


@given(st.dictionaries(st.text(max_size=6), st.text(max_size=12), max_size=4))
def test_whatever_headers_are_accepted_cannot_end_a_line(headers: dict[str, str]) -> None:
    asked, problems = parse_subscription({"sink": SINK, "protocolsettings": {"headers": headers}})
    if asked is None:
        assert problems
        return
    assert asked.spec.headers == headers
    block = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    assert len(block.splitlines()) == len(headers)
    assert block.isascii()


def test_headers_have_no_case_and_a_bound() -> None:
    settings = {"headers": {"X-One": "1", "x-one": "2"}}
    assert pointers({"sink": SINK, "protocolsettings": settings}) == ["/protocolsettings/headers/x-one"]
    settings = {"headers": {f"X-{n}": "1" for n in range(33)}}
    assert pointers({"sink": SINK, "protocolsettings": settings}) == ["/protocolsettings/headers"]
    assert spec_of(protocolsettings={"method": "POST", "headers": {"X-Tab": "a\tb"}}).headers == {
        "X-Tab": "a\tb"
    }
    assert pointers({"sink": SINK, "protocolsettings": {"method": "PUT"}}) == ["/protocolsettings/method"]
    assert pointers({"sink": SINK, "protocolsettings": {"method": ["POST"]}}) == ["/protocolsettings/method"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("accesstoken", None),
        ("accesstoken", ""),
        ("accesstoken", "two words"),
        ("accesstoken", "a\r\nb"),
        ("accesstoken", 5),
        ("accesstoken", "x" * 8193),
        ("accesstokentype", "mac"),
        ("accesstokentype", 1),
        ("accesstokenexpiresutc", "soon"),
        ("accesstokenexpiresutc", 1),
        ("credentialtype", "PLAIN"),
        ("credentialtype", None),
        ("credentialtype", []),
        ("scope", "x"),
        ("password", "x"),
    ],
)
def test_credentials_are_checked_and_never_repeated(member: str, value: object) -> None:
    credential = {"credentialtype": "ACCESSTOKEN", "accesstoken": TOKEN, member: value}
    (problem,) = parse_subscription({"sink": SINK, "sinkcredential": credential})[1]
    assert problem.pointer == f"/sinkcredential/{member}"
    assert TOKEN not in problem.detail


def test_credentials_in_the_spelling_of_the_standards_text() -> None:
    credential = {
        "credentialType": "ACCESSTOKEN",
        "accessToken": TOKEN,
        "accessTokenType": "Bearer",
        "accessTokenExpiresUtc": "2030-01-01T00:00:00Z",
    }
    spec = spec_of(sinkcredential=credential)
    assert spec.credential == AccessToken(TOKEN, "2030-01-01T00:00:00Z")
    assert SubscriptionSpec.from_json(spec.to_json()) == spec


def replaced(value: object, previous: SubscriptionSpec) -> SubscriptionSpec:
    spec, problems = parse_replacement(value, previous=previous, organization="org-1")
    assert problems == []
    assert spec is not None
    return spec


def patched(patch: object, previous: SubscriptionSpec) -> SubscriptionSpec:
    spec, problems = parse_patch(patch, previous=previous, organization="org-1")
    assert problems == []
    assert spec is not None
    return spec


def faults_of_patch(patch: object) -> list[str]:
    spec, problems = parse_patch(patch, previous=made(WHOLE).spec, organization="org-1")
    assert (spec is None) is bool(problems)
    return [problem.pointer for problem in problems]


def test_a_view_can_be_put_back() -> None:
    spec = spec_of(types=["a"], config={"start": 5, "retry": [1]})
    view = {
        **spec.view(),
        "id": "sub_x",
        "organization": "org-1",
        "state": "active",
        "revision": 3,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }
    assert replaced(view, spec) == spec


def test_a_replacement_replaces_all_but_the_start() -> None:
    previous = made(WHOLE).spec
    spec = replaced({"sink": SINK + "2"}, previous)
    assert spec == SubscriptionSpec(sink=SINK + "2", config=Config(start=StartAt.BEGINNING))


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"organization": "org-2"}, "/organization"),
        ({"organization": 1}, "/organization"),
        ({"secret": SECRET}, "/secret"),
        ({"config": {"start": "now"}}, "/config/start"),
        ({"config": {"start": 5}}, "/config/start"),
        ({"sinkcredential": {"credentialtype": "ACCESSTOKEN"}}, "/sinkcredential/accesstoken"),
    ],
)
def test_s11a_what_a_revision_cannot_change(members: dict[str, Any], pointer: str) -> None:
    previous = made(WHOLE).spec
    spec, problems = parse_replacement({"sink": SINK, **members}, previous=previous, organization="org-1")
    assert spec is None
    assert [problem.pointer for problem in problems] == [pointer]


def test_a_patch_changes_what_it_names() -> None:
    previous = made(WHOLE).spec
    assert patched({}, previous) == previous
    spec = patched(
        {
            "sink": SINK + "2",
            "types": ["x"],
            "name": None,
            "labels": {"team": None, "new": "1"},
            "config": {"retry": None, "timeout_s": 1},
            "protocolsettings": {"headers": {"X-Other": "1"}},
        },
        previous,
    )
    assert spec.sink == SINK + "2"
    assert spec.types == ("x",)
    assert spec.name is None
    assert spec.labels == {"example.com/tier": "1", "new": "1"}
    assert (spec.config.retry, spec.config.timeout_s, spec.config.max_concurrency) == (None, 1, 4)
    assert spec.config.start is StartAt.BEGINNING
    assert spec.headers == {"X-Tenant": "seven", "X-Other": "1"}
    assert spec.bearer_token == TOKEN


def test_a_patch_takes_members_away() -> None:
    spec = patched({"sinkcredential": None, "filters": None, "protocolsettings": None}, made(WHOLE).spec)
    assert (spec.credential, spec.filters.items, dict(spec.headers)) == (None, (), {})


def test_a_patch_is_checked_like_the_whole() -> None:
    assert faults_of_patch([]) == [""]
    assert faults_of_patch({"sink": None}) == ["/sink"]
    assert faults_of_patch({"colour": 1, "config": {"timeout_s": 99}}) == ["/colour", "/config/timeout_s"]
    assert faults_of_patch({"state": "paused"}) == ["/state"]
    assert faults_of_patch({"organization": "org-2", "secret": SECRET}) == ["/organization", "/secret"]
    assert faults_of_patch({"organization": "org-1", "id": "x"}) == []
    assert faults_of_patch({"sinkcredential": {"accesstoken": "a b"}}) == ["/sinkcredential/accesstoken"]


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_are_those_of_the_standard(target: object, patch: object, merged: object) -> None:
    assert merge_patch(target, patch) == merged


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
members = st.one_of(
    st.dictionaries(st.sampled_from([*WHOLE, "organization", "secret", "x"]), json_values, max_size=6),
    st.builds(
        lambda config: {"sink": SINK, "config": config},
        st.dictionaries(st.sampled_from([*WHOLE["config"], "batch_age_s"]), json_values, max_size=4),
    ),
    json_values,
)


@given(members)
def test_no_json_makes_the_readers_fail(value: object) -> None:
    previous = made(WHOLE).spec
    asked, problems = parse_subscription(value)
    assert (asked is None) is bool(problems)
    if asked is not None:
        assert SubscriptionSpec.from_json(asked.spec.to_json()) == asked.spec
    for spec, found in (
        parse_replacement(value, previous=previous, organization="org-1"),
        parse_patch(value, previous=previous, organization="org-1"),
    ):
        assert (spec is None) is bool(found)


def test_s11a_the_selection_is_within_the_organization() -> None:
    spec = made(WHOLE).spec
    one = spec.selector("org-1")
    assert one == selector_from(spec.selection_json(), "org-1")
    assert (one.organization, one.source, one.types) == ("org-1", spec.source, spec.types)
    assert one.filters == spec.filters
    assert spec.selector("*").organization is None


def test_s1d_the_selection_holds_nothing_of_the_sink() -> None:
    assert set(made(WHOLE).spec.selection_json()) == {"source", "types", "filters"}


@pytest.mark.parametrize(
    ("sink", "origin"),
    [
        ("https://user:pass@receiver.example:8443/hooks?key=1", "https://receiver.example:8443"),
        ("http://Receiver.Example/x", "http://receiver.example"),
        ("https://[2001:db8::1]:1/x", "https://[2001:db8::1]:1"),
        ("https://receiver.example:port/", ""),
        ("https://[::1/x", ""),
        ("https://", ""),
        ("pull:", "pull:"),
        ("//x", ""),
    ],
)
def test_s1d_a_fact_carries_the_origin_of_a_sink(sink: str, origin: str) -> None:
    assert sink_origin(sink) == origin
