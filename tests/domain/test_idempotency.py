"""What an `Idempotency-Key` is (draft-ietf-httpapi-idempotency-key-header-06), and whose."""

import pytest

from gateway.domain.api_tokens import Principal
from gateway.domain.idempotency import MalformedKey, fingerprint, parse_key, remembered_as


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ([], None),
        (['"8e03978e-40d5-43dd-bc93-6894a57f9324"'], "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        (["8e03978e-40d5-43dd-bc93-6894a57f9324"], "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ([' "a key" '], "a key"),
        ([r'"a \"quoted\\ key"'], 'a "quoted\\ key'),
        (["x" * 255], "x" * 255),
    ],
)
def test_a_key(lines, key):
    assert parse_key(lines) == key


@pytest.mark.parametrize(
    "lines",
    [
        [""],
        ['""'],
        ['"open'],
        ["two words"],
        ["a, b"],
        ["a;b=c"],
        ["schlüssel"],
        [r'"\n"'],
        ["x" * 256],
        ["a", "a"],
    ],
)
def test_no_key(lines):
    with pytest.raises(MalformedKey):
        parse_key(lines)


def test_a_key_is_one_tokens_for_one_operation():
    callers = [Principal("a" if token else None, writes=True, token_id=token) for token in (None, "1", "2")]
    kept = {
        remembered_as(caller, operation, "k") for caller in callers for operation in ("POST /a", "POST /b")
    }
    assert len(kept) == 6
    assert remembered_as(callers[0], "POST /a", "k") == remembered_as(callers[0], "POST /a", "k")


def test_a_body_is_the_same_however_it_is_spelled():
    assert fingerprint({"a": 1, "b": [1, {}]}) == fingerprint({"b": [1, {}], "a": 1})
    assert len({fingerprint(body) for body in ({"a": 1}, {"a": 1.0}, {"a": "1"}, None, [], {"a": True})}) == 6
