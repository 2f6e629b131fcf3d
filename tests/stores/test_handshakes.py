"""A handshake on every backend: each step a fact, a callback that works once, and what a change leaves of it."""

import json

import pytest

from gateway.adapters.sql.rebuild import rebuild
from gateway.adapters.sql.sealed import SubscriptionVault
from gateway.adapters.vault import Keyring
from gateway.domain.handshake import UNASKED, Consent, HandshakeState
from gateway.domain.subscription import Config, Handshake, SubscriptionSpec
from gateway.errors import NotFound, PreconditionFailed
from gateway.ports import EventQuery

SECRET = "whsec_" + "A" * 40
HASH, OTHER = "ab" * 32, "cd" * 32
DAY_US = 24 * 3600 * 1_000_000
HOOK, ELSEWHERE = "https://example.com/", "https://example.com/other"


def spec(sink=HOOK, **members):
    return SubscriptionSpec(sink=sink, config=Config(handshake=Handshake.REQUIRED), **members)


@pytest.fixture
def one(stores):
    return stores.run(stores.subscriptions.create(spec(), organization="*", privileged=True, secret=SECRET))


def asked(stores, callback=HASH):
    now_us = stores.clock.now_us
    return Consent(HandshakeState.ASKED, now_us, callback=callback, until_us=now_us + DAY_US)


def note(stores, consent, **conditions):
    return stores.run(stores.subscriptions.set_consent(1, consent, **conditions))


def call_back(stores, callback=HASH, rate=None):
    return stores.run(stores.subscriptions.called_back(callback, rate))


def facts(stores, *states):
    types = tuple(f"com.letta.gateway.subscription.handshake_{state}" for state in states)
    return stores.run(stores.log.search(EventQuery(types=types, ascending=True)))


def test_each_step_is_a_fact_and_the_record_has_the_last(stores, one):
    assert (one.consent, one.private.wants_handshake) == (UNASKED, True)
    consent = asked(stores)
    record = note(stores, consent, revision=1)
    assert record.consent == consent
    assert record.updated_at_us > one.updated_at_us
    refused = Consent(HandshakeState.REFUSED, 7, detail="no", callback=HASH, until_us=consent.until_us)
    assert note(stores, refused, callback=HASH).consent == refused
    told = [json.loads(fact.envelope) for fact in facts(stores, "asked", "refused")]
    assert [fact["data"]["consent"] for fact in told] == [consent.to_json(), refused.to_json()]
    assert {fact["subject"] for fact in told} == {one.id}
    assert stores.run(stores.subscriptions.get(one.id)).consent == refused


@pytest.mark.usefixtures("one")
def test_what_was_overtaken_is_not_noted(stores):
    note(stores, asked(stores), revision=1)
    with pytest.raises(PreconditionFailed):
        note(stores, Consent(HandshakeState.GRANTED), revision=2)
    with pytest.raises(PreconditionFailed):
        note(stores, Consent(HandshakeState.GRANTED), callback=OTHER)
    call_back(stores)
    with pytest.raises(PreconditionFailed):
        note(stores, Consent(HandshakeState.REFUSED), callback=HASH)
    with pytest.raises(NotFound):
        stores.run(stores.subscriptions.set_consent(2, Consent(HandshakeState.REQUESTED)))


@pytest.mark.usefixtures("one")
def test_s11e_a_callback_works_once_and_for_a_day(stores):
    note(stores, asked(stores))
    with pytest.raises(NotFound):
        call_back(stores, OTHER)
    record = call_back(stores, rate=30)
    assert (record.consent.granted, record.consent.per_minute, record.consent.callback) == (True, 30, None)
    with pytest.raises(NotFound):
        call_back(stores)
    note(stores, asked(stores))
    stores.clock.now_us += DAY_US
    with pytest.raises(NotFound):
        call_back(stores)


@pytest.mark.usefixtures("one")
def test_s11e_a_callback_is_bound_to_revision_and_sink(stores):
    update = stores.subscriptions.update
    note(stores, asked(stores))
    renamed = stores.run(update(1, spec(name="other")))
    assert renamed.consent.state is HandshakeState.REQUESTED  # asked anew, for the revision that it is now
    with pytest.raises(NotFound):
        call_back(stores)
    note(stores, asked(stores, OTHER))
    call_back(stores, OTHER)
    assert stores.run(update(1, spec(name="again"))).consent.granted
    assert stores.run(update(1, spec(ELSEWHERE))).consent.unasked


@pytest.mark.usefixtures("one")
def test_a_callback_ends_with_its_subscription(stores):
    note(stores, asked(stores))
    stores.run(stores.subscriptions.delete(1))
    with pytest.raises(NotFound):
        call_back(stores)


def test_rebuild_brings_it_back(sql_stores):
    stores = sql_stores
    create = stores.subscriptions.create
    for sink in (HOOK, HOOK, HOOK, HOOK):
        stores.run(create(spec(sink), organization="*", privileged=True, secret=SECRET))
    set_consent, update = stores.subscriptions.set_consent, stores.subscriptions.update
    stores.run(set_consent(1, asked(stores)))
    stores.run(set_consent(2, Consent(HandshakeState.GRANTED, 5, 60)))
    stores.run(set_consent(3, Consent(HandshakeState.GRANTED, 5, 60)))
    stores.run(update(3, spec(ELSEWHERE)))
    stores.run(set_consent(4, asked(stores, OTHER)))
    stores.run(stores.subscriptions.delete(4))
    rows = "SELECT number, updated_at, consent, callback FROM subscription ORDER BY number"
    before = stores.sql(rows)
    vault = SubscriptionVault(Keyring((bytes(range(32)),)))
    stores.run(rebuild(stores.database, vault, now_us=stores.clock.now_us))
    assert stores.sql(rows) == before
    assert [row[3] for row in before] == [HASH, None, None, None]
