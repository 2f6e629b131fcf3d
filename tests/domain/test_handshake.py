"""The handshake as rules: what is asked, what counts as consent, and what is left of it after a change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.handshake import (
    RATE_MAX,
    UNASKED,
    Consent,
    HandshakeState,
    granted_rate,
    question,
    read_answer,
)

ORIGIN = "hooks.example.org"
GRANTED, REFUSED, UNANSWERED = HandshakeState.GRANTED, HandshakeState.REFUSED, HandshakeState.UNANSWERED


def state(status: int, *headers: tuple[str, str]) -> HandshakeState:
    return read_answer(status, headers, ORIGIN).state


def test_conformance_29_the_question() -> None:
    request = question(
        "https://example.com/hook?x=1",
        origin=ORIGIN,
        callback_url="https://gateway/handshake/token",
        per_second=0.1,
        timeout_s=5,
        privileged=False,
        user_agent="x",
    )
    assert (request.method, request.url, request.body) == (b"OPTIONS", "https://example.com/hook?x=1", b"")
    assert dict(request.headers) == {
        "User-Agent": "x",
        "WebHook-Request-Origin": ORIGIN,
        "WebHook-Request-Callback": "https://gateway/handshake/token",
        "WebHook-Request-Rate": "6",
    }


@pytest.mark.parametrize(
    ("per_second", "rate"), [(None, RATE_MAX), (0.01, 1), (2.5, 150), (10_000, RATE_MAX)]
)
def test_the_rate_is_a_positive_number_of_requests_a_minute(per_second: float | None, rate: int) -> None:
    request = question(
        "https://x/",
        origin="o",
        callback_url="c",
        per_second=per_second,
        timeout_s=5,
        privileged=False,
        user_agent="x",
    )
    assert dict(request.headers)["WebHook-Request-Rate"] == str(rate)


@pytest.mark.parametrize("status", [200, 201, 204, 400, 401, 403, 404, 405, 410])
def test_conformance_29_a_status_alone_is_no_consent(status: int) -> None:
    said = read_answer(status, [("Allow", "OPTIONS, POST")], ORIGIN)
    assert said.state is REFUSED
    assert said.detail == f"the sink answered {status} without WebHook-Allowed-Origin"


def test_conformance_29_consent_is_our_name_or_every_name() -> None:
    for value in (ORIGIN, "*", "Hooks.Example.ORG", f" {ORIGIN} "):
        assert state(200, ("WebHook-Allowed-Origin", value)) is GRANTED
        assert state(204, ("webhook-allowed-origin", value)) is GRANTED
    for value in ("", "example.org", f"{ORIGIN}.evil.example", f"{ORIGIN}, *", "**", f"https://{ORIGIN}"):
        assert state(200, ("WebHook-Allowed-Origin", value)) is REFUSED
    assert state(200, ("WebHook-Allowed-Origin", ORIGIN), ("WebHook-Allowed-Origin", "*")) is REFUSED


@pytest.mark.parametrize(
    ("status", "expected"), [(500, UNANSWERED), (503, UNANSWERED), (429, UNANSWERED), (302, REFUSED)]
)
def test_trouble_is_no_answer_and_a_redirect_no_consent(status: int, expected: HandshakeState) -> None:
    assert state(status, ("WebHook-Allowed-Origin", "*")) is expected


def test_conformance_30_the_rate_that_is_granted() -> None:
    assert granted_rate([]) is None
    assert granted_rate(["*"]) is None
    assert granted_rate([" 120 "]) == 120
    for wrong in (["0"], ["-1"], ["1.5"], ["soon"], ["1", "2"], [""], ["9" * 10], ["\u0661"]):
        with pytest.raises(ValueError, match="WebHook-Allowed-Rate"):
            granted_rate(wrong)
    said = read_answer(200, [("WebHook-Allowed-Origin", "*"), ("WebHook-Allowed-Rate", "0")], ORIGIN)
    assert said.state is REFUSED
    assert (
        read_answer(200, [("WebHook-Allowed-Origin", "*"), ("WebHook-Allowed-Rate", "7")], ORIGIN).per_minute
        == 7
    )


consents = st.builds(
    Consent,
    state=st.sampled_from(HandshakeState),
    at_us=st.integers(0, 10**15),
    per_minute=st.none() | st.integers(1, RATE_MAX),
    detail=st.none() | st.text(min_size=1, max_size=9),
    callback=st.none() | st.just("ab" * 32),
    until_us=st.none() | st.integers(0, 10**15),
    tries=st.integers(0, 9),
    next_at_us=st.none() | st.integers(0, 10**15),
)


@given(consents)
def test_it_is_stored_as_it_is(consent: Consent) -> None:
    assert Consent.from_json(consent.to_json()) == consent
    assert Consent.from_json({}) == UNASKED


@given(consents)
def test_s11e_a_change_ends_a_callback_and_another_sink_the_consent(consent: Consent) -> None:
    moved = consent.revised(5, sink_changed=True)
    assert (moved.unasked, moved.callback) == (True, consent.callback if consent.unasked else None)
    kept = consent.revised(5, sink_changed=False)
    if consent.unasked or consent.callback is None:
        assert kept == consent
    else:
        assert kept == Consent(HandshakeState.REQUESTED, 5)
