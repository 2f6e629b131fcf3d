"""Private networks are open to the sink that an administrator has named, and to no other one (S11b)."""

import json

import pytest

from gateway.adapters.sql.rebuild import rebuild
from gateway.adapters.sql.sealed import SubscriptionVault
from gateway.adapters.vault import Keyring
from gateway.domain.subscription import SubscriptionSpec
from gateway.ports import EventQuery

SINK, OTHER = "http://10.0.0.1/", "https://example.com/"
UPDATED = "com.letta.gateway.subscription.updated"


def create(stores, *, privileged: bool = True):
    return stores.run(
        stores.subscriptions.create(
            SubscriptionSpec(sink=SINK),
            organization="org-1",
            privileged=privileged,
            secret="whsec_" + "A" * 40,
        )
    )


def update(stores, sink: str, *, privileged: bool, name: str | None = None):
    spec = SubscriptionSpec(sink=sink, name=name)
    return stores.run(stores.subscriptions.update(1, spec, privileged=privileged))


def said(stores):
    found = stores.run(stores.log.search(EventQuery(types=(UPDATED,), ascending=True)))
    return [json.loads(fact.envelope)["data"].get("privileged") for fact in found]


def test_it_stays_with_the_sink_and_goes_with_it(stores):
    create(stores)
    assert update(stores, SINK, privileged=False, name="x").privileged
    assert update(stores, SINK + "2", privileged=True).privileged
    assert not update(stores, OTHER, privileged=False).privileged
    assert not stores.run(stores.subscriptions.by_number(1)).privileged
    # For good: an administrator who wants it back makes another subscription.
    assert not update(stores, SINK, privileged=True).privileged
    assert said(stores) == [None, None, False, None]


def test_it_is_never_gained(stores):
    create(stores, privileged=False)
    assert not update(stores, OTHER, privileged=True).privileged
    assert said(stores) == [None]


@pytest.mark.parametrize("moved", [True, False])
def test_a_rebuild_knows(sql_stores, moved):
    create(sql_stores)
    update(sql_stores, OTHER, privileged=not moved)
    vault = SubscriptionVault(Keyring((bytes(range(32)),)))
    sql_stores.run(rebuild(sql_stores.database, vault, now_us=1))
    assert sql_stores.run(sql_stores.subscriptions.by_number(1)).privileged is not moved
