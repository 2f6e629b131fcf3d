"""Client credentials: what the token endpoint is asked, and what its answer comes to; nothing secret in any of it."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.client_credentials import (
    ANSWER_BYTES_MAX,
    LIFETIME_S_MAX,
    read_answer,
    token_request,
    unreachable,
)
from gateway.domain.credentials import ClientCredentials, credential_from
from gateway.domain.sending import Answer, SendError, SendErrorKind
from gateway.domain.subscription_input import parse_patch, parse_subscription

SECRET = "a secret/with:odd+signs"
CREDENTIAL = ClientCredentials(
    "https://auth.example.com/token", "me:you", SECRET, "hooks.write", "https://api"
)
GIVEN = {
    "credentialtype": "OAUTH2CLIENTCREDENTIALS",
    "tokenurl": "https://auth.example.com/token",
    "clientid": "me:you",
    "clientsecret": SECRET,
    "scope": "hooks.write",
    "audience": "https://api",
}
SINK = "https://example.com/hook"


def answer(members: object, status: int = 200, *, truncated: bool = False) -> Answer:
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    return Answer(status, (), body, truncated, 0.1)


def error(found: Answer) -> SendError:
    with pytest.raises(SendError) as raised:
        read_answer(found, CREDENTIAL)
    return raised.value


def test_the_request_is_that_of_the_rfc() -> None:
    request = token_request(CREDENTIAL, timeout_s=5, privileged=True, user_agent="x")
    headers = dict(request.headers)
    assert (request.method, request.url, request.privileged) == (b"POST", CREDENTIAL.token_url, True)
    assert request.capture_bytes == ANSWER_BYTES_MAX
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    scheme, _, pair = headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(pair).decode() == f"me%3Ayou:{quote_plus(SECRET)}"
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["hooks.write"],
        "audience": ["https://api"],
    }
    assert SECRET not in repr(request)
    bare = ClientCredentials("https://x/", "a", "b")
    assert (
        token_request(bare, timeout_s=5, privileged=False, user_agent="x").body
        == b"grant_type=client_credentials"
    )


@pytest.mark.parametrize(
    ("expires_in", "usable_s"),
    [
        (3600, 3540),
        ("3600", 3540),
        (100, 80),
        (10, 8.0),
        (0, 0),
        (-5, 0),
        (None, 240),
        (True, 240),
        ("soon", 240),
    ],
)
def test_a_token_is_used_until_shortly_before_its_end(expires_in: object, usable_s: float) -> None:
    granted = read_answer(
        answer({"access_token": "abc", "token_type": "bearer", "expires_in": expires_in}), CREDENTIAL
    )
    assert (granted.token, granted.usable_s) == ("abc", usable_s)
    assert "abc" not in repr(granted)


def test_a_life_that_no_float_holds_is_the_longest_one() -> None:
    body = b'{"access_token": "t", "token_type": "bearer", "expires_in": 1' + b"0" * 400 + b"}"
    granted = read_answer(Answer(200, (), body, truncated=False, duration_s=0.0), CREDENTIAL)
    assert granted.usable_s > 0


def test_a_life_without_end_has_one() -> None:
    for endless in (1e300, 10**30, "9" * 40):
        granted = read_answer(answer({"access_token": "abc", "expires_in": endless}), CREDENTIAL)
        assert granted.usable_s == LIFETIME_S_MAX - 60


@pytest.mark.parametrize(
    ("status", "members", "kind", "detail"),
    [
        (400, {"error": "invalid_scope"}, "token_refused", "answered 400: invalid_scope"),
        (
            401,
            {"error": "invalid_client", "error_description": "who is that?"},
            "token_refused",
            "answered 401: invalid_client: who is that?",
        ),
        (302, {}, "token_refused", "answered 302"),
        (404, b"<html>", "token_refused", "answered 404"),
        (500, b"", "token_unavailable", "answered 500"),
        (429, {"error": "slow_down"}, "token_unavailable", "answered 429: slow_down"),
        (400, {"error": "line\r\nbreak", "error_description": 7}, "token_refused", "answered 400"),
        (200, b"[]", "token_malformed", "is no JSON object"),
        (200, b"[" * 30_000, "token_malformed", "is no JSON object"),
        (200, {}, "token_malformed", "has no `access_token`"),
        (200, {"access_token": "a\r\nX: y"}, "token_malformed", "has no `access_token`"),
        (200, {"access_token": "a" * 9_000}, "token_malformed", "has no `access_token`"),
        (200, {"access_token": "abc", "token_type": "mac"}, "token_malformed", "of another type"),
    ],
)
def test_what_an_endpoint_says_is_classed(status: int, members: Any, kind: str, detail: str) -> None:
    found = error(answer(members, status))
    assert found.kind == kind
    assert detail in found.detail


def test_an_answer_that_was_cut_is_none() -> None:
    assert error(answer({"access_token": "abc"}, truncated=True)).kind is SendErrorKind.TOKEN_MALFORMED


@pytest.mark.parametrize(
    "echo",
    [SECRET, quote_plus(SECRET), base64.b64encode(b"me%3Ayou:" + quote_plus(SECRET).encode()).decode()],
)
def test_a_secret_that_is_echoed_is_masked_before_it_is_cut(echo: str) -> None:
    found = error(
        answer({"error": "invalid_client", "error_description": f"{'x' * 190} {echo} is wrong"}, 401)
    )
    assert echo[:6] not in found.detail
    found = error(answer({"error": "invalid_client", "error_description": f"{echo} is wrong"}, 401))
    assert found.detail.endswith("invalid_client: *** is wrong")


@given(st.binary(max_size=300), st.integers(200, 599))
def test_any_answer_is_a_token_or_an_error(body: bytes, status: int) -> None:
    kind = "token_"
    try:
        read_answer(answer(body, status), CREDENTIAL)
    except SendError as raised:
        kind = raised.kind.value
    assert kind.startswith("token_")


def test_no_answer_names_the_endpoint_and_not_the_sink() -> None:
    found = unreachable(SendError(SendErrorKind.REFUSED, "the sink is not allowed: it is the gateway itself"))
    assert found.kind is SendErrorKind.TOKEN_UNAVAILABLE
    assert "(refused): the token endpoint is not allowed" in found.detail


def test_read_shown_without_the_secret_and_kept_by_a_patch() -> None:
    asked, problems = parse_subscription({"sink": SINK, "sinkcredential": GIVEN})
    assert not problems
    assert asked is not None
    assert asked.spec.credential == CREDENTIAL
    assert credential_from(CREDENTIAL.to_json()) == CREDENTIAL
    assert asked.spec.view()["sinkcredential"] == {
        key: it for key, it in GIVEN.items() if key != "clientsecret"
    }
    assert SECRET not in repr(asked)
    patched, problems = parse_patch(
        {"sinkcredential": {"scope": None}}, previous=asked.spec, organization="*"
    )
    assert not problems
    assert patched is not None
    assert patched.credential == ClientCredentials(GIVEN["tokenurl"], "me:you", SECRET, None, "https://api")


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"tokenurl": None}, "tokenurl"),
        ({"tokenurl": ""}, "tokenurl"),
        ({"clientid": 7}, "clientid"),
        ({"clientsecret": None}, "clientsecret"),
        ({"clientsecret": "a\nb"}, "clientsecret"),
        ({"clientsecret": "geheim\u00e9"}, "clientsecret"),
        ({"scope": ["a"]}, "scope"),
        ({"audience": ""}, "audience"),
        ({"accesstoken": "abc"}, "accesstoken"),
    ],
)
def test_every_member_has_its_bounds(change: dict[str, Any], member: str) -> None:
    _, problems = parse_subscription({"sink": SINK, "sinkcredential": GIVEN | change})
    assert [problem.pointer for problem in problems] == [f"/sinkcredential/{member}"]
    assert "geheim" not in problems[0].detail
