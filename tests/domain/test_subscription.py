"""A subscription as it is asked for: what is taken, what is refused and where, and what facts tell of it"""

import pytest
from asked_subscriptions import (
    SECRET,
    SINK,
    TOKEN,
    WHOLE,
    made,
    patched,
    pointers,
    replaced,
    sentence,
    spec_of,
)

from gateway.domain.filters import filters_from
from gateway.domain.subscription import (
    Config,
    Format,
    StartAt,
    SubscriptionSpec,
    selector_from,
    sink_origin,
)
from gateway.domain.subscription_input import (
    SubscriptionInput,
    parse_replacement,
)


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
