"""The tokens of the API on every backend: what is kept of one, what is said of it, and for how long."""

import json

import pytest

from gateway.adapters.memory import tokens as memory_tokens
from gateway.adapters.sql import tokens as sql_tokens
from gateway.domain.api_tokens import REMEMBERED_US, ApiToken, Standing, new_token
from gateway.errors import Conflict, NotFound
from gateway.ports import EventQuery, Kind, NewApiToken

TYPES = ("com.letta.gateway.token.created", "com.letta.gateway.token.revoked")


def wanted(number: int = 1, **members) -> NewApiToken:
    standard = {"name": None, "organization": "org-1", "read_only": False, "expires_at_us": None, "by": None}
    return NewApiToken(hash=number.to_bytes(32, "big"), **(standard | members))


def make(stores, number: int = 1, **members) -> ApiToken:
    return stores.run(stores.tokens.create(wanted(number, **members)))


def facts(stores):
    return stores.run(stores.log.search(EventQuery(types=TYPES, ascending=True)))


def found(stores, number: int) -> ApiToken | None:
    return stores.run(stores.tokens.by_hash(number.to_bytes(32, "big")))


def test_it_is_found_by_its_hash_and_by_its_id(stores):
    at_us = stores.clock.now_us + 10**9
    one = make(stores, 1, name="ci", read_only=True, expires_at_us=at_us)
    other = make(stores, 2, organization=None)
    assert one.id.startswith("tok_")
    assert (one.name, one.organization, one.read_only, one.expires_at_us) == ("ci", "org-1", True, at_us)
    assert found(stores, 1) == stores.run(stores.tokens.get(one.id)) == one
    assert found(stores, 2) == other
    assert stores.run(stores.tokens.get_many([other.id, one.id, "tok_none"])) == {
        one.id: one,
        other.id: other,
    }
    assert found(stores, 3) is None
    for unknown in ("tok_none", "", "a\0b"):
        assert stores.run(stores.tokens.get(unknown)) is None


def test_making_one_is_a_fact_of_the_administrators_without_the_token(stores):
    text, kept = new_token(bytes(range(32)))
    made = stores.run(
        stores.tokens.create(
            NewApiToken(kept, name="ci", organization="org-1", read_only=True, expires_at_us=None, by="tok_a")
        )
    )
    stores.run(stores.tokens.revoke(made.id, by=None))
    created, revoked = facts(stores)
    assert (created.kind, created.organization, revoked.organization) == (Kind.FACT, None, None)
    said = json.loads(created.envelope)
    assert (said["subject"], said["source"]) == (made.id, "http://gateway/gateway")
    assert said["data"] == {
        "token_id": made.id,
        "name": "ci",
        "admin": False,
        "organization": "org-1",
        "read_only": True,
        "expires_at": None,
        "by": "tok_a",
    }
    assert json.loads(revoked.envelope)["data"]["by"] is None
    for fact in (created, revoked):
        assert text[4:] not in fact.envelope.decode()
        assert kept.hex() not in fact.envelope.decode()


def test_a_revoked_one_is_told_apart_and_shown_no_more(stores):
    made, other = make(stores, 1), make(stores, 2)
    stores.run(stores.tokens.revoke(made.id, by=None))
    assert found(stores, 1).standing(0) is Standing.REVOKED
    assert found(stores, 2).standing(0) is Standing.ACTIVE
    assert stores.run(stores.tokens.get(made.id)) is None
    assert stores.run(stores.tokens.get_many([made.id, other.id])) == {other.id: other}
    assert stores.run(stores.tokens.page(after=None, limit=9)) == [other]
    for again in (made.id, "tok_none", "a\0b"):
        with pytest.raises(NotFound):
            stores.run(stores.tokens.revoke(again, by=None))
    assert len(facts(stores)) == 3


def test_pages_have_everyone_once_in_order_of_creation(stores):
    made = [make(stores, number) for number in range(1, 6)]
    seen, after = [], None
    while page := stores.run(stores.tokens.page(after=after, limit=2)):
        seen += page
        after = (page[-1].created_at_us, page[-1].id)
    assert seen == made


def test_the_last_use_never_goes_back_and_is_no_fact(stores):
    one, other = make(stores, 1), make(stores, 2)
    stores.run(stores.tokens.used({one.id: 500, "tok_none": 7}))
    stores.run(stores.tokens.used({one.id: 400, other.id: 300}))
    stores.run(stores.tokens.used({}))
    assert (found(stores, 1).last_used_at_us, found(stores, 2).last_used_at_us) == (500, 300)
    assert len(facts(stores)) == 2


def test_what_ended_long_ago_makes_room(stores, monkeypatch):
    for module in (memory_tokens, sql_tokens):
        monkeypatch.setattr(module, "TOKENS_MAX", 3)
    make(stores, 1, expires_at_us=stores.clock.now_us + 10)
    revoked = make(stores, 2)
    stores.run(stores.tokens.revoke(revoked.id, by=None))
    kept = make(stores, 3)
    with pytest.raises(Conflict):
        make(stores, 4)
    assert found(stores, 1) is not None
    stores.clock.now_us += REMEMBERED_US + 10**6
    made = make(stores, 4)
    assert found(stores, 1) is found(stores, 2) is None
    assert stores.run(stores.tokens.page(after=None, limit=9)) == [kept, made]


def test_of_a_token_the_database_has_only_the_hash(sql_stores):
    text, kept = new_token(bytes(range(32)))
    sql_stores.run(
        sql_stores.tokens.create(
            NewApiToken(kept, name=None, organization=None, read_only=False, expires_at_us=None, by=None)
        )
    )
    (row,) = sql_stores.sql("SELECT * FROM api_token")
    assert bytes(row.hash) == kept
    assert text[4:] not in repr(tuple(row))
