"""What a sink echoes of a secret is not stored, however it spells it, and not its beginning either (S11g)."""

import json
from html import escape
from urllib.parse import quote, quote_plus

import pytest

from gateway.deliver.masking import MASK, mask, masked
from gateway.deliver.terms import Terms
from gateway.domain.header_lines import HeaderLines
from gateway.domain.sending import Answer
from gateway.domain.signing import Signer, new_secret
from otel.spellings import spellings

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


def terms(secret: str) -> Terms:
    return Terms(
        number=1,
        revision=1,
        privileged=False,
        sink="https://hook.example/",
        structured=False,
        thin=False,
        timeout_s=None,
        schedule_s=(),
        lines=HeaderLines(),
        signer=Signer([new_secret(bytes(32))]),
        known=((secret, secret.encode()),),
        until_us=None,
    )


def test_a_secret_that_came_while_the_answer_was_on_its_way_goes_too() -> None:
    echo = answer(f"{SECRET} and {SECRET[::-1]}")
    headers, body = mask(echo, terms(SECRET), terms(SECRET[::-1]))
    assert body.decode() == f"{MASK} and {MASK}"
    assert headers == (("X-Echo", f"{MASK} and {MASK}"),)
