"""Moving the vault to another key, batch by batch, on each database."""

import pytest

from gateway.adapters.sql.subscriptions import SqlSubscriptions
from gateway.adapters.sql.vault_keys import SqlVaultKeys
from gateway.adapters.vault import KeyMissing, Keyring
from gateway.domain.subscription import SubscriptionSpec
from gateway.ports import KeyUse, Resealed

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
OLD_ID, NEW_ID = Keyring((OLD,)).key_ids[0], Keyring((NEW,)).key_ids[0]
SECRET = "whsec_" + "A" * 40


def keys_of(stores, *keys):
    return SqlVaultKeys(stores.database, Keyring(keys), now=stores.clock)


def subscriptions_of(stores, *keys):
    return SqlSubscriptions(
        stores.database,
        Keyring(keys),
        fact_source="http://gateway/gateway",
        now=stores.clock,
        random=lambda count: stores.clock().to_bytes(count, "big"),
    )


@pytest.fixture
def stores(sql_stores):
    """Five subscriptions, two rows each, under the old key; one has been updated and has a third."""
    made = subscriptions_of(sql_stores, OLD)
    for number in range(1, 6):
        spec = SubscriptionSpec(sink=f"https://example.com/{number}")
        sql_stores.run(made.create(spec, organization="*", privileged=True, secret=SECRET))
    sql_stores.run(made.update(1, SubscriptionSpec(sink="https://example.com/other")))
    return sql_stores


def rotate(stores, keys, limit=4):
    batches, after = [], None
    while not batches or after is not None:
        batch = stores.run(keys.reseal(after, limit))
        batches.append((batch.checked, batch.resealed))
        after = batch.after
    return batches


def read(stores, *keys):
    page = stores.run(subscriptions_of(stores, *keys).page(organization=None, after=0, limit=10))
    return [(record.spec.sink, [secret.text for secret in record.secrets]) for record in page]


def test_every_row_is_sealed_again_in_bounded_batches_and_once(stores):
    before = read(stores, OLD)
    keys = keys_of(stores, NEW, OLD)
    assert rotate(stores, keys) == [(4, 4), (4, 4), (3, 3)]
    assert read(stores, NEW) == before
    assert rotate(stores, keys) == [(4, 0), (4, 0), (3, 0)]
    assert len(before) == 5


def test_begun_anew_it_takes_up_what_is_left(stores):
    keys = keys_of(stores, NEW, OLD)
    stores.run(keys.reseal(None, 4))
    assert [use.sealed for use in stores.run(keys.uses())] == [4, 7]
    assert rotate(stores, keys) == [(4, 0), (4, 4), (3, 3)]
    assert [use.sealed for use in stores.run(keys.uses())] == [11, 0]


def test_a_key_is_noted_from_when_it_was_replaced(stores):
    stores.run(keys_of(stores, OLD).begin())
    assert stores.run(keys_of(stores, OLD).uses()) == [KeyUse(OLD_ID, 11, None)]
    stores.run(keys_of(stores, NEW, OLD).begin())
    replaced = stores.clock.now_us
    stores.run(keys_of(stores, NEW, OLD).begin())
    assert stores.run(keys_of(stores, NEW, OLD).uses()) == [
        KeyUse(NEW_ID, 0, None),
        KeyUse(OLD_ID, 11, replaced),
    ]
    stores.run(keys_of(stores, OLD, NEW).begin())
    assert stores.run(keys_of(stores, OLD, NEW).uses())[0] == KeyUse(OLD_ID, 11, None)


def test_a_key_that_nobody_noted_was_in_use_until_now(stores):
    stores.run(keys_of(stores, NEW, OLD).begin())
    assert stores.run(keys_of(stores, NEW, OLD).uses())[1].replaced_at_us == stores.clock.now_us


def test_a_key_that_is_missing_stops_the_start_by_its_id_alone(stores):
    keys = keys_of(stores, NEW)
    with pytest.raises(KeyMissing, match=f"11 under key {OLD_ID}") as caught:
        stores.run(keys.begin())
    assert "GATEWAY_SECRET_KEYS" in str(caught.value)
    assert stores.sql("SELECT count(*) FROM sealing_key") == [(0,)]
    rotate(stores, keys_of(stores, NEW, OLD))
    stores.run(keys.begin())


def test_what_does_not_open_is_named_and_holds_nothing_up(stores):
    ((owner,),) = stores.sql("SELECT id FROM subscription WHERE number = 3")
    stores.sql(
        "UPDATE vault SET sealed = (SELECT v.sealed FROM vault v WHERE v.owner <> :owner ORDER BY v.owner LIMIT 1)"
        " WHERE owner = :owner AND kind = 'subscription'",
        owner=owner,
    )
    found = stores.run(keys_of(stores, NEW, OLD).reseal(None, 100))
    assert found == Resealed(11, 10, (("subscription", owner, 1),), None)
