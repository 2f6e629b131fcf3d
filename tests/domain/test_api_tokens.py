"""Tokens of the API: their form, their hash, what they open, and what one may ask for."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.api_tokens import (
    ApiToken,
    Principal,
    Standing,
    forgettable,
    new_token,
    token_hash,
)
from gateway.domain.token_input import AskedToken, parse_token
from gateway.settings import check_token

NOW_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


def token(**members) -> ApiToken:
    return ApiToken("tok_1", None, "org-1", read_only=False, created_at_us=1, **members)


@given(st.binary(min_size=32, max_size=32))
def test_a_token_is_known_by_the_sha256_of_its_text(random):
    text, kept = new_token(random)
    check_token(text)
    assert re.fullmatch(r"lgw_[A-Za-z0-9_-]{43}", text)
    assert kept == token_hash(text) == hashlib.sha256(text.encode()).digest()


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_it_takes_256_bits(size):
    with pytest.raises(ValueError, match="32 random bytes"):
        new_token(bytes(size))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lgw_",
        "lgw_" + "a" * 42,
        "lgw_" + "a" * 44,
        "abc_" + "a" * 43,
        "lgw_" + "ä" * 43,
        "lgw_" + "a" * 43 + "\n",
    ],
)
def test_what_cannot_be_a_token_is_not_looked_up(text):
    assert token_hash(text) is None


def test_where_a_token_stands():
    assert token().standing(NOW_US) is Standing.ACTIVE
    assert token(expires_at_us=NOW_US).standing(NOW_US - 1) is Standing.ACTIVE
    assert token(expires_at_us=NOW_US).standing(NOW_US) is Standing.EXPIRED
    assert token(expires_at_us=NOW_US, revoked_at_us=2).standing(NOW_US) is Standing.REVOKED


def test_what_may_be_forgotten():
    assert not forgettable(token(), 10)
    assert forgettable(token(revoked_at_us=9), 10)
    assert forgettable(token(expires_at_us=9), 10)
    assert not forgettable(token(expires_at_us=10, revoked_at_us=11), 10)


def test_s11a_who_sees_what():
    mine, admin = Principal("org-1", writes=True), Principal(None, writes=False)
    assert [mine.sees(name) for name in ("org-1", "org-2", "*", None)] == [True, False, False, False]
    assert all(admin.sees(name) for name in ("org-1", "*", None))
    assert token().principal() == Principal("org-1", writes=True, token_id="tok_1")


def test_what_is_asked_for():
    full = {
        "name": "ci",
        "organization": "org-1",
        "read_only": True,
        "expires_at": "2026-01-01T01:00:01+01:00",
    }
    assert parse_token(full, NOW_US) == (
        AskedToken("ci", "org-1", read_only=True, expires_at_us=NOW_US + 1_000_000),
        [],
    )
    assert parse_token({"admin": True}, NOW_US) == (
        AskedToken(None, None, read_only=False, expires_at_us=None),
        [],
    )


@pytest.mark.parametrize(
    ("value", "pointers"),
    [
        ([], [""]),
        (None, [""]),
        ({}, ["/organization"]),
        ({"organization": None}, ["/organization"]),
        ({"admin": False}, ["/organization"]),
        ({"admin": True, "organization": "org-1"}, ["/admin"]),
        ({"admin": "yes", "organization": "org-1"}, ["/admin"]),
        ({"organization": "*"}, ["/organization"]),
        ({"organization": ""}, ["/organization"]),
        ({"organization": "a\nb"}, ["/organization"]),
        ({"organization": "o" * 257}, ["/organization"]),
        ({"organization": 7}, ["/organization"]),
        ({"admin": True, "name": ""}, ["/name"]),
        ({"admin": True, "read_only": 1}, ["/read_only"]),
        ({"admin": True, "expires_at": "2026-01-01T00:00:00Z"}, ["/expires_at"]),
        ({"admin": True, "expires_at": "2027-01-01T00:00:00"}, ["/expires_at"]),
        ({"admin": True, "expires_at": "soon"}, ["/expires_at"]),
        ({"admin": True, "expires_at": 5}, ["/expires_at"]),
        ({"scope": "all", "read_only": None}, ["/scope", "/read_only", "/organization"]),
    ],
)
def test_what_is_wrong_with_it_all_at_once(value, pointers):
    asked, problems = parse_token(value, NOW_US)
    assert asked is None
    assert [problem.pointer for problem in problems] == pointers
