"""What leaves in attributes: bounded, and no part of a URL that may be a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel.attributes import TEXT_CHARS_MAX, cut, event_attributes, shown_url, sink_attributes
from schemas import build


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com/"),
        ("https://example.com/inbox/letta", "https://example.com/inbox/letta"),
        ("http://127.0.0.1:9/sink-12", "http://127.0.0.1:9/REDACTED"),
        ("https://example.com/hook-secretword", "https://example.com/REDACTED"),
        ("https://example.com/hook-agent-inbox-public", "https://example.com/REDACTED"),
        ("https://example.com/secretword", "https://example.com/REDACTED"),
        ("https://example.com/api/secretword/hook", "https://example.com/api/REDACTED"),
        ("https://example.com/Hook", "https://example.com/REDACTED"),
        ("https://example.com/hook;key=abc", "https://example.com/REDACTED"),
        ("https://example.com//hook/", "https://example.com//hook/"),
        ("https://example.com/hook#key", "https://example.com/hook"),
        ("https://example.com/api/v1/hook", "https://example.com/api/v1/hook"),
        ("https://user:pass@example.com/hook", "https://example.com/hook"),
        ("https://example.com/hook?key=abc", "https://example.com/hook?REDACTED"),
        (
            "https://hooks.example.com/services/T0A/B0B/xYz123",
            "https://hooks.example.com/services/REDACTED",
        ),
        ("https://example.com/hook/letmein", "https://example.com/hook/REDACTED"),
        ("https://example.com/token/mysecrettoken/x", "https://example.com/REDACTED"),
        ("https://example.com/hooks/swordfish", "https://example.com/hooks/REDACTED"),
        ("https://example.com/api/letta-webhook/a", "https://example.com/api/letta-webhook/REDACTED"),
        ("https://example.com/in/deadbeef", "https://example.com/in/REDACTED"),
        ("https://example.com/in/Key1/word", "https://example.com/in/REDACTED"),
        ("https://example.com/whsec_aBc", "https://example.com/REDACTED"),
        ("https://example.com/a-word-that-is-a-pass-phrase", "https://example.com/REDACTED"),
        ("https://example.com/%61bc", "https://example.com/REDACTED"),
        ("https://example.com/a/b/c/d/e/f/g/h/i", "https://example.com/REDACTED"),
        ("https://example.com/" + "in/" * 200, "https://example.com/" + "in/" * 78 + "i…"),
    ],
)
def test_conformance_40_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_conformance_40_a_port_is_told_where_the_scheme_says_it() -> None:
    assert sink_attributes("https://example.com/hook")["server.port"] == 443
    assert sink_attributes("http://[::1]:81/")["server.address"] == "::1"
    assert sink_attributes("http://[::1]:81/")["server.port"] == 81


@given(st.text(max_size=2_000))
def test_a_text_is_bounded(text: str) -> None:
    assert len(cut(text)) <= TEXT_CHARS_MAX
    assert cut(text) == text or text.startswith(cut(text)[:-1])


def test_conformance_41_an_event_is_named_and_nothing_of_its_data_told() -> None:
    attributes = {"specversion": "1.0", "id": "i" * 999, "source": "/s", "type": "t", "subject": "x"}
    found = event_attributes(build(attributes, {"secret": "no"}))
    assert set(found) == {
        f"cloudevents.event_{name}" for name in ("id", "source", "spec_version", "type", "subject")
    }
    assert len(str(found["cloudevents.event_id"])) == TEXT_CHARS_MAX
