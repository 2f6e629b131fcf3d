"""Which subscription is which webhook, on every backend: one of each at most, whatever becomes of it elsewhere."""

import pytest

from gateway.adapters.sql.rebuild import rebuild
from gateway.adapters.sql.sealed import SubscriptionVault
from gateway.adapters.vault import Keyring
from gateway.domain.subscription import SubscriptionSpec
from gateway.errors import Conflict
from gateway.ports import EventQuery, NewSubscription, SubscriptionState

SECRET = "whsec_" + "A" * 40
KEY = "agent:agent-1"
SPEC = SubscriptionSpec(sink="https://example.com/")


def make(stores, organization: str = "org-1", key: str = KEY, *, paused: bool = False):
    asked = NewSubscription(SPEC, organization, privileged=False, secret=SECRET, webhook=key, paused=paused)
    [record] = stores.run(stores.subscriptions.create_many([asked]))
    return record


def found(stores, organization: str = "org-1", key: str = KEY):
    return stores.run(stores.subscriptions.webhook(organization, key))


def test_it_is_found_by_its_key_within_its_organization(stores):
    one, two = make(stores), make(stores, "org-2")
    make(stores, "org-1", "all")
    assert found(stores).id == one.id
    assert found(stores).webhook == KEY
    assert found(stores, "org-2").id == two.id
    assert found(stores, "org-3") is None
    assert found(stores, "org-1", "agent:agent-2") is None
    assert found(stores, "org-1", "agent:\0") is None
    assert stores.run(stores.subscriptions.get(one.id)) == found(stores)


def test_there_is_one_at_most_and_nothing_is_written_for_another(stores):
    make(stores)
    head = stores.run(stores.log.head())
    with pytest.raises(Conflict):
        make(stores)
    assert stores.run(stores.log.head()) == head


def test_it_survives_changes_and_ends_with_the_subscription(stores):
    record = make(stores)
    changed = SubscriptionSpec(sink="https://other.example/", types=("x",))
    stores.run(stores.subscriptions.update(record.number, changed))
    stores.run(stores.subscriptions.set_state(record.number, SubscriptionState.DISABLED, cause="a test"))
    stores.run(stores.subscriptions.rotate_secret(record.number, "whsec_" + "B" * 40))
    assert found(stores).spec == changed
    stores.run(stores.subscriptions.delete(record.number))
    assert found(stores) is None
    again = make(stores)
    assert again.number != record.number
    assert found(stores).id == again.id


def test_one_that_begins_paused_was_never_at_work(stores):
    record = make(stores, paused=True)
    assert (record.state, record.live) == (SubscriptionState.PAUSED, False)
    query = EventQuery(types=("com.letta.gateway.subscription.paused",))
    [fact] = stores.run(stores.log.search(query))
    assert fact.position == record.created_position + 1


def test_a_rebuild_finds_it_again(sql_stores):
    make(sql_stores, paused=True)
    gone = make(sql_stores, "org-2")
    sql_stores.run(sql_stores.subscriptions.delete(gone.number))
    make(sql_stores, "org-2")
    rows = "SELECT * FROM subscription ORDER BY number"
    before = sql_stores.sql(rows)
    vault = SubscriptionVault(Keyring((bytes(range(32)),)))
    sql_stores.run(rebuild(sql_stores.database, vault, now_us=1_900_000_000_000_000))
    assert sql_stores.sql(rows) == before
    assert found(sql_stores).state is SubscriptionState.PAUSED
