"""What a sink echoes of a secret is not stored, however it spells it, and not its beginning either (S11g)."""

import json
from html import escape
from urllib.parse import quote, quote_plus

import pytest

from gateway.deliver.masking import MASK, masked
from gateway.domain.sending import Answer
from gateway.domain.spellings import spellings

SECRET = "aB+c/d=eF" * 4


def answer(body: str, *, truncated: bool = False) -> Answer:
    return Answer(200, (("X-Echo", body),), body.encode(), truncated=truncated, duration_s=0.0)


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        SECRET.replace("/", "\\/"),
        json.dumps(SECRET)[1:-1],
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        escape(SECRET),
        "".join(char if char.isalnum() else f"\\u{ord(char):04x}" for char in SECRET),
        "".join(char if char.isalnum() else f"&#x{ord(char):X};" for char in SECRET),
    ],
)
def test_every_spelling_goes(spelled: str) -> None:
    found = masked(answer(f"before {spelled} after"), spellings(SECRET))
    assert found.body.decode() == f"before {MASK} after"
    assert found.headers == (("X-Echo", f"before {MASK} after"),)


def test_it_goes_from_the_name_of_a_header_too() -> None:
    echo = Answer(400, ((f"x-{SECRET}", "1"),), b"", truncated=False, duration_s=0.0)
    assert masked(echo, spellings(SECRET)).headers == ((f"x-{MASK}", "1"),)


def test_the_beginning_of_one_goes_where_an_answer_was_cut() -> None:
    found = masked(answer(f"token: {SECRET[:20]}", truncated=True), spellings(SECRET))
    assert found.body.decode() == f"token: {MASK}"
