"""What a creation is remembered by, on each backend: with it or not at all, sealed, for a while."""

import pytest

from gateway.adapters.sql.idempotency import SqlIdempotencyKeys
from gateway.adapters.sql.vault_keys import SqlVaultKeys
from gateway.adapters.vault import Keyring
from gateway.domain.subscription import SubscriptionSpec
from gateway.errors import Conflict
from gateway.ports import Remembered, Remembering

SPEC = SubscriptionSpec(sink="https://example.com/hook")
SECRET = "whsec_" + "A" * 40
KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
DAY_US = 86_400_000_000


def remembering(stores, key=KEY, for_us=DAY_US):
    return Remembering(key, stores.clock() + for_us, lambda record: f"{record.id} {SECRET}".encode())


def create(stores, wanted):
    made = stores.subscriptions.create(
        SPEC, organization="*", privileged=True, secret=SECRET, remembering=wanted
    )
    return stores.run(made)


def count(stores):
    return len(stores.run(stores.subscriptions.page(organization=None, after=0, limit=100)))


def test_remembered_with_what_it_made(stores):
    assert stores.run(stores.idempotency.find(KEY)) is None
    record = create(stores, remembering(stores))
    assert stores.run(stores.idempotency.find(KEY)) == Remembered(f"{record.id} {SECRET}".encode())
    assert stores.run(stores.idempotency.find(OTHER)) is None


def test_a_key_that_is_in_use_makes_nothing(stores):
    create(stores, remembering(stores))
    head = stores.run(stores.log.head()).position
    with pytest.raises(Conflict):
        create(stores, remembering(stores))
    assert (count(stores), stores.run(stores.log.head()).position) == (1, head)
    create(stores, remembering(stores, OTHER))
    assert count(stores) == 2


def test_what_cannot_be_told_was_not_made(stores):
    def fails(_record):
        raise ZeroDivisionError

    if stores.database is None:
        pytest.skip("what can fail fails before, in memory")
    with pytest.raises(ZeroDivisionError):
        create(stores, Remembering(KEY, stores.clock() + DAY_US, fails))
    assert count(stores) == 0
    assert stores.run(stores.idempotency.find(KEY)) is None


def test_forgotten_when_its_time_has_passed(stores):
    create(stores, remembering(stores))
    create(stores, remembering(stores, OTHER, for_us=2 * DAY_US))
    assert stores.run(stores.idempotency.forget()) == 0
    stores.clock.now_us += DAY_US
    assert stores.run(stores.idempotency.find(KEY)) is None
    again = create(stores, remembering(stores))
    assert stores.run(stores.idempotency.find(KEY)) == Remembered(f"{again.id} {SECRET}".encode())
    stores.clock.now_us += DAY_US
    assert stores.run(stores.idempotency.forget()) == 2
    assert stores.run(stores.idempotency.forget()) == 0
    if stores.database is not None:
        assert stores.sql("SELECT count(*) FROM vault WHERE kind = 'idempotent-answer'")[0][0] == 0


def test_a_deletion_takes_the_answer_with_it(stores):
    record = create(stores, remembering(stores))
    stores.run(stores.subscriptions.delete(record.number))
    assert stores.run(stores.idempotency.find(KEY)) == Remembered(None)
    if stores.database is not None:
        assert stores.sql("SELECT count(*) FROM vault")[0][0] == 0


def test_sealed_and_moved_to_another_key_with_the_rest(sql_stores):
    record = create(sql_stores, remembering(sql_stores))
    [(sealed,)] = sql_stores.sql("SELECT sealed FROM vault WHERE kind = 'idempotent-answer'")
    assert SECRET.encode() not in bytes(sealed)
    new = Keyring((bytes(range(32, 64)), bytes(range(32))))
    keys = SqlVaultKeys(sql_stores.database, new, now=sql_stores.clock)
    assert sql_stores.run(keys.reseal(None, 100)).resealed == 3
    only_new = Keyring((bytes(range(32, 64)),))
    found = SqlIdempotencyKeys(sql_stores.database, only_new, now=sql_stores.clock).find(KEY)
    assert sql_stores.run(found) == Remembered(f"{record.id} {SECRET}".encode())
