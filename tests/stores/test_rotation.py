"""A rotation on every backend: the vault, the fact, and nothing of the secret anywhere else (S1d)."""

import json

import pytest

from gateway.domain.rotation import OVERLAP_US, Secret
from gateway.domain.subscription import Config, Signing, SubscriptionSpec
from gateway.errors import NotFound
from gateway.ports import EventQuery

OLD, NEW, NEWEST = ("whsec_" + letter * 40 for letter in "ABC")
ROTATED = "com.letta.gateway.subscription.secret_rotated"


@pytest.fixture
def one(stores):
    spec = SubscriptionSpec(sink="https://example.com/")
    return stores.run(stores.subscriptions.create(spec, organization="*", privileged=True, secret=OLD))


def facts(stores):
    return stores.run(stores.log.search(EventQuery(types=(ROTATED,), ascending=True)))


def test_a_rotation_is_a_fact_without_the_secret(stores, one):
    record = stores.run(stores.subscriptions.rotate_secret(1, NEW))
    until_us = record.updated_at_us + OVERLAP_US
    assert record.secrets == (Secret(OLD, until_us), Secret(NEW))
    assert (record.revision, record.updated_at_us > one.updated_at_us) == (1, True)
    (fact,) = facts(stores)
    said = json.loads(fact.envelope)
    assert said["subject"] == one.id
    assert said["data"] == {"subscription_id": one.id, "number": 1, "revision": 1, "rotation": 2}
    assert b"whsec_" not in fact.envelope
    assert stores.run(stores.subscriptions.get(one.id)) == record
    assert "whsec_" not in repr(record)


@pytest.mark.usefixtures("one")
def test_rotations_follow_each_other_and_the_same_again_is_none(stores):
    stores.run(stores.subscriptions.rotate_secret(1, NEW))
    again = stores.run(stores.subscriptions.rotate_secret(1, NEW))
    assert len(facts(stores)) == 1
    assert [secret.text for secret in again.secrets] == [OLD, NEW]
    record = stores.run(stores.subscriptions.rotate_secret(1, NEWEST))
    assert [secret.text for secret in record.secrets] == [OLD, NEW, NEWEST]
    assert [json.loads(fact.envelope)["data"]["rotation"] for fact in facts(stores)] == [2, 3]
    # An update leaves them as they are.
    spec = SubscriptionSpec(sink="https://example.com/", name="other")
    assert stores.run(stores.subscriptions.update(1, spec)).secrets == record.secrets


def test_the_vault_keeps_only_what_still_signs(sql_stores):
    spec = SubscriptionSpec(sink="https://example.com/")
    sql_stores.run(sql_stores.subscriptions.create(spec, organization="*", privileged=True, secret=OLD))
    for secret in (NEW, NEWEST):
        sql_stores.run(sql_stores.subscriptions.rotate_secret(1, secret))
    kept = "SELECT revision, sealed FROM vault WHERE kind = 'subscription-secrets'"
    ((revision, sealed),) = sql_stores.sql(kept)
    assert revision == 3
    assert b"whsec_" not in bytes(sealed)
    sql_stores.clock.now_us += OVERLAP_US
    record = sql_stores.run(sql_stores.subscriptions.rotate_secret(1, OLD))
    assert [secret.text for secret in record.secrets] == [NEWEST, OLD]


def test_deleted_with_all_its_secrets(sql_stores):
    spec = SubscriptionSpec(sink="https://example.com/")
    sql_stores.run(sql_stores.subscriptions.create(spec, organization="*", privileged=True, secret=OLD))
    sql_stores.run(sql_stores.subscriptions.rotate_secret(1, NEW))
    sql_stores.run(sql_stores.subscriptions.delete(1))
    assert sql_stores.sql("SELECT count(*) FROM vault") == [(0,)]
    with pytest.raises(NotFound):
        sql_stores.run(sql_stores.subscriptions.rotate_secret(1, NEWEST))


def with_v1a(*signing):
    return SubscriptionSpec(
        sink="https://example.com/", config=Config(signing=signing or (Signing.V1, Signing.V1A))
    )


def test_a_key_pair_is_made_where_it_is_asked_for_and_replaced_with_the_secret(stores):
    create = stores.subscriptions.create
    record = stores.run(create(with_v1a(), organization="*", privileged=True, secret=OLD))
    (first,) = record.secrets
    assert len(first.seed) == 32
    record = stores.run(stores.subscriptions.rotate_secret(1, NEW))
    assert [secret.text for secret in record.secrets] == [OLD, NEW]
    assert record.secrets[0].seed == first.seed != record.secrets[1].seed
    assert stores.run(stores.subscriptions.get(record.id)).secrets == record.secrets
    assert first.seed.hex() not in repr(record)


@pytest.mark.usefixtures("one")
def test_a_key_pair_that_is_asked_for_later_is_made_then_and_kept(stores):
    update = stores.subscriptions.update
    (secret,) = stores.run(update(1, with_v1a())).secrets
    assert (secret.text, len(secret.seed)) == (OLD, 32)
    assert stores.run(update(1, with_v1a(Signing.V1))).secrets == (secret,)
    assert stores.run(update(1, with_v1a())).secrets == (secret,)
    assert stores.run(stores.subscriptions.by_number(1)).secrets == (secret,)


def test_the_key_lies_sealed(sql_stores):
    create = sql_stores.subscriptions.create
    record = sql_stores.run(create(with_v1a(), organization="*", privileged=True, secret=OLD))
    rows = sql_stores.sql("SELECT sealed FROM vault")
    assert len(rows) == 2
    assert all(record.secrets[0].seed not in bytes(row[0]) for row in rows)
    assert all(record.secrets[0].seed.hex().encode() not in bytes(row[0]) for row in rows)
