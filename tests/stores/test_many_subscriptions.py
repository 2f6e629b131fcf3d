"""Subscriptions made and read in bulk, on every backend: as one by one, in a bounded number of queries (S1d)."""

import json
import re
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event

from gateway.adapters.sql.sealed import SubscriptionVault
from gateway.adapters.sql.subscriptions import SqlSubscriptions
from gateway.adapters.vault import KeyMissing, Keyring, Tampered
from gateway.domain.filters import filters_from
from gateway.domain.pending import PendingDelivery
from gateway.domain.rotation import Secret
from gateway.domain.subscription import PULL_SINK, Config, StartAt, SubscriptionSpec
from gateway.errors import DatabaseUnusable, InvalidRequest
from gateway.ports import JournalBatch, NewEntry, NewSubscription, SubscriptionState

SECRET = "whsec_" + "A" * 40
FACTS = "com.letta.gateway.subscription.created"


def wanted(count: int, **config) -> list[NewSubscription]:
    return [
        NewSubscription(
            SubscriptionSpec(
                sink=f"https://example.com/{number}",
                filters=filters_from([{"exact": {"partitionkey": f"agent-{number % 3}"}}]),
                config=Config(**config),
            ),
            organization="*" if number % 2 else "org-1",
            privileged=number % 2 == 1,
            secret=f"whsec_{number:040d}",
        )
        for number in range(count)
    ]


def append(stores, count: int) -> None:
    entries = [NewEntry(type="t", source="/s", id=str(n), envelope=b"{}") for n in range(count)]
    stores.run(stores.log.append(entries))


def page(stores, limit: int = 500):
    return stores.run(stores.subscriptions.page(organization=None, after=0, limit=limit))


def test_many_are_made_in_order_each_behind_its_own_fact(stores):
    append(stores, 2)
    asked = wanted(25)
    made = stores.run(stores.subscriptions.create_many(asked))
    assert [record.number for record in made] == list(range(1, 26))
    assert [record.created_position for record in made] == list(range(3, 28))
    assert all(record.start_position == record.cursor == record.created_position for record in made)
    assert all(record.live for record in made)
    assert [record.spec for record in made] == [new.spec for new in asked]
    assert [record.secrets for record in made] == [(Secret(new.secret),) for new in asked]
    assert [(record.organization, record.privileged) for record in made] == [
        (new.organization, new.privileged) for new in asked
    ]
    assert page(stores) == list(made)
    entries = stores.run(stores.log.read(2, 100))
    assert [entry.type for entry in entries] == [FACTS] * 25
    assert [json.loads(entry.envelope)["subject"] for entry in entries] == [record.id for record in made]
    assert [entry.organization for entry in entries[:2]] == ["org-1", None]


def test_one_of_many_is_as_one_made_alone(stores):
    [asked] = wanted(1)
    [one] = stores.run(stores.subscriptions.create_many([asked]))
    other = stores.run(
        stores.subscriptions.create(asked.spec, organization="org-1", privileged=False, secret=asked.secret)
    )
    first, second = (json.loads(entry.envelope)["data"] for entry in stores.run(stores.log.read(0, 9)))
    assert second == first | {"number": 2, "start_position": 2}
    assert (one.spec, one.secrets, one.selector_at(9)) == (other.spec, other.secrets, other.selector_at(9))


def test_none_makes_nothing(stores):
    assert list(stores.run(stores.subscriptions.create_many([]))) == []
    assert stores.run(stores.log.head()).position == 0


def test_one_start_ahead_of_the_log_keeps_all_out(stores):
    append(stores, 3)
    asked = [*wanted(2), *wanted(1, start=4), *wanted(1, start=3), *wanted(1, start=9)]
    with pytest.raises(InvalidRequest) as refused:
        stores.run(stores.subscriptions.create_many(asked))
    assert [field.pointer for field in refused.value.fields] == ["/2/config/start", "/4/config/start"]
    with pytest.raises(InvalidRequest) as refused:
        stores.run(
            stores.subscriptions.create(asked[2].spec, organization="*", privileged=True, secret=SECRET)
        )
    assert [field.pointer for field in refused.value.fields] == ["/config/start"]
    assert stores.run(stores.log.head()).position == 3
    assert page(stores) == []


def test_each_begins_where_it_asks(stores):
    append(stores, 3)
    asked = [*wanted(1), *wanted(1, start=StartAt.BEGINNING), *wanted(1, start=2)]
    made = stores.run(stores.subscriptions.create_many(asked))
    assert [(record.start_position, record.live) for record in made] == [(4, True), (0, False), (2, False)]


def test_a_page_counts_what_waits_for_each(stores):
    stores.run(stores.subscriptions.create_many(wanted(3)))
    pending = [PendingDelivery(1, 5), PendingDelivery(3, 5), PendingDelivery(3, 6)]
    stores.run(stores.deliveries.commit(JournalBatch((), pending, (), (), 0)))
    assert [record.pending for record in page(stores)] == [1, 0, 2]


def test_a_page_has_the_history_of_each(stores):
    stores.run(stores.subscriptions.create_many(wanted(3)))
    changed = SubscriptionSpec(sink="https://example.com/x", source="/s")
    for number in (2, 3, 2):
        spec = (
            changed
            if number == 3
            else SubscriptionSpec(sink=changed.sink, source=f"/{number}{len(page(stores)[1].revisions)}")
        )
        stores.run(stores.subscriptions.update(number, spec))
    found = page(stores)
    assert [[item.revision for item in record.revisions] for record in found] == [[1], [1, 2, 3], [1, 2]]
    assert [record.selector_at(99).source for record in found] == [None, "/22", "/s"]
    assert [record.spec.sink for record in found] == ["https://example.com/0", changed.sink, changed.sink]


@contextmanager
def watched(stores):
    """Every statement that runs meanwhile, with the ways in which SQLite looks for its rows."""
    statements: list[tuple[str, list[str]]] = []

    def note(connection, _cursor, statement, parameters, _context, many):
        plan = connection.connection.dbapi_connection.execute(
            f"EXPLAIN QUERY PLAN {statement}", parameters[0] if many else parameters
        )
        statements.append((statement, [row[3] for row in plan]))

    engines = (stores.database._reader, stores.database._writer)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield statements
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def test_the_number_of_queries_does_not_depend_on_how_many_there_are(sqlite_stores):
    sqlite_stores.run(
        sqlite_stores.subscriptions.create_many(wanted(1))
    )  # the first append reads the latest keys
    counts = []
    for count in (4, 64):  # powers of two: rows go in such parts to a statement
        with watched(sqlite_stores) as making:
            sqlite_stores.run(sqlite_stores.subscriptions.create_many(wanted(count)))
        with watched(sqlite_stores) as reading:
            page(sqlite_stores)
        counts.append((len(making), len(reading)))
    assert counts[0] == counts[1]


def test_no_command_goes_through_all_that_there_are(sqlite_stores):
    subscriptions, run = sqlite_stores.subscriptions, sqlite_stores.run
    with watched(sqlite_stores) as statements:
        made = run(subscriptions.create_many(wanted(3)))
        run(subscriptions.update(1, SubscriptionSpec(sink="https://example.com/x")))
        run(subscriptions.set_state(1, SubscriptionState.PAUSED, cause="test"))
        run(subscriptions.get(made[0].id))
        run(subscriptions.by_number(2))
        run(subscriptions.by_numbers([1, 2, 3]))
        run(sqlite_stores.deliveries.due(9, 9, numbers=[1, 2, 3]))
        run(sqlite_stores.deliveries.replays([1, 2, 3]))
        run(subscriptions.page(organization="org-1", after=1, limit=2))
        run(subscriptions.page(organization=None, after=1, limit=2))
        run(subscriptions.ids([1, 2]))
        run(subscriptions.delete(3))
    found = [(way, statement) for statement, plan in statements for way in plan]
    assert found
    # The head of the log is a table of one row, the latest keys are read by the first append of a process, and the
    # values of an insert are no table at all.
    harmless = re.compile(r"SCAN (log_head|event_key_recent|\d+ CONSTANT ROWS)")
    slow = [at for at in found if at[0].startswith("SCAN ") and not harmless.fullmatch(at[0])]
    # All rows of the vault are of two kinds.
    slow += [at for at in found if at[0].startswith("SEARCH vault") and "owner=" not in at[0]]
    assert slow == []


def test_equal_selections_are_one_in_memory(sqlite_stores):
    sqlite_stores.run(sqlite_stores.subscriptions.create_many(wanted(60)))
    found = [record.selector_at(99) for record in page(sqlite_stores)]
    # Three agents, and two organizations.
    assert len({id(selector) for selector in found}) == len(set(found)) == 6


def test_that_one_is_only_pulled_is_known_without_opening_it(sqlite_stores):
    vault = SubscriptionVault(Keyring((bytes(range(32)),)))
    sqlite_stores.subscriptions._vault = vault
    pulled = replace(wanted(1)[0], spec=SubscriptionSpec(sink=PULL_SINK))
    sqlite_stores.run(sqlite_stores.subscriptions.create_many([pulled, *wanted(1)]))
    assert [record.pull_only for record in page(sqlite_stores)] == [True, False]
    assert len(vault._opened) == 0


def test_what_lies_open_is_bounded_and_goes_with_its_subscription(sqlite_stores):
    vault = SubscriptionVault(Keyring((bytes(range(32)),)), opened_max=5)
    sqlite_stores.subscriptions._vault = vault
    sqlite_stores.run(sqlite_stores.subscriptions.create_many(wanted(20)))
    found = page(sqlite_stores)
    assert len(vault._opened) == 0
    for record in (*found, *found):
        assert record.secrets == (Secret(f"whsec_{record.number - 1:040d}"),)
        assert record.spec.sink == f"https://example.com/{record.number - 1}"
    assert len(vault._opened) == 5
    sqlite_stores.run(sqlite_stores.subscriptions.delete(20))
    assert len(vault._opened) == 4
    assert "whsec" not in repr(found)


def test_a_damaged_or_foreign_vault_is_found_where_it_is_read(sqlite_stores):
    sqlite_stores.run(sqlite_stores.subscriptions.create_many(wanted(3)))
    other = SqlSubscriptions(
        sqlite_stores.database,
        Keyring((bytes(32),)),
        fact_source="/",
        now=sqlite_stores.clock,
        random=bytes,
    )
    with pytest.raises(KeyMissing):
        sqlite_stores.run(other.page(organization=None, after=0, limit=9))
    damage = "UPDATE vault SET sealed = CAST(sealed || x'00' AS BLOB) WHERE kind = 'subscription-secrets'"
    sqlite_stores.database.write_now(lambda connection: connection.exec_driver_sql(damage))
    with pytest.raises(Tampered):
        page(sqlite_stores)
    for gone in (
        "DELETE FROM vault WHERE kind = 'subscription-secrets'",
        "DELETE FROM vault WHERE kind = 'subscription'",
    ):
        sqlite_stores.database.write_now(lambda connection, gone=gone: connection.exec_driver_sql(gone))
        with pytest.raises(DatabaseUnusable):
            page(sqlite_stores)
