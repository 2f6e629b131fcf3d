"""Headers and credentials of a sink as they are asked for: nothing that could break a request, nothing told again"""

import pytest
from asked_subscriptions import SINK, TOKEN, pointers, spec_of
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.credentials import AccessToken
from gateway.domain.subscription import (
    SubscriptionSpec,
)
from gateway.domain.subscription_input import (
    parse_subscription,
)

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
