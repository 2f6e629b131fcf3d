"""A repetition is found however long ago the original came, wherever its key is by then (S7c)."""

import random

import pytest

from gateway.adapters.sql import event_keys
from gateway.errors import Unavailable
from gateway.ports import NewEntry

FEW = 40
EVENTS = 600


@pytest.fixture(autouse=True)
def keeps_few(monkeypatch):
    monkeypatch.setattr(event_keys, "RECENT_MAX", FEW)


def entry(number: int) -> NewEntry:
    return NewEntry(type="test.happened", source="urn:test", id=str(number), envelope=b"{}")


def rows(stores) -> tuple[set[bytes], list[bytes]]:
    """The keys that are in their order, and those of the rows that came last."""
    ordered = {bytes(key) for (key,) in stores.sql("SELECT key FROM event_key")}
    recent = [bytes(hashes) for (hashes,) in stores.sql("SELECT hashes FROM event_key_recent ORDER BY seq")]
    return ordered, [hashes[at : at + 16] for hashes in recent for at in range(0, len(hashes), 16)]


def forget(stores) -> None:
    """As when the file is opened anew: the connection knows nothing."""
    stores.run(stores.database.write(lambda connection: connection.info.clear()))


@pytest.mark.parametrize("opened_anew", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_s7c_first_wins_wherever_its_key_is(sql_stores, seed, opened_anew):
    dice = random.Random(seed)
    positions: dict[int, int] = {}
    while len(positions) < EVENTS:
        numbers = [dice.randrange(2 * EVENTS) for _ in range(dice.randrange(1, 30))]
        appended = sql_stores.run(sql_stores.log.append([entry(number) for number in numbers]))
        for number, result in zip(numbers, appended, strict=True):
            assert result.duplicate is (number in positions)
            assert positions.setdefault(number, result.position) == result.position
        if opened_anew and dice.random() < 0.1:
            forget(sql_stores)
    assert sorted(positions.values()) == list(range(1, len(positions) + 1))


def test_keys_go_over_to_their_order_and_no_row_stays_for_ever(sqlite_stores):
    for start in range(0, 10 * EVENTS, 20):
        sqlite_stores.run(sqlite_stores.log.append([entry(start + n) for n in range(20)]))
    ordered, recent = rows(sqlite_stores)
    assert len(ordered | set(recent)) == 10 * EVENTS
    assert len(ordered) >= 10 * EVENTS - FEW
    # Each group's turn comes once while twice as many keys come as are kept; an append more is on its way.
    assert len(recent) <= 3 * (FEW + 20)


def test_what_was_rolled_back_was_never_there(sqlite_stores):
    log = sqlite_stores.log
    sqlite_stores.run(log.append([entry(number) for number in range(FEW)]))
    sqlite_stores.sql("CREATE TRIGGER full BEFORE UPDATE ON log_head BEGIN SELECT RAISE(ABORT, 'full'); END")
    for _ in range(3):
        with pytest.raises(Unavailable):
            sqlite_stores.run(log.append([entry(number) for number in range(FEW, 3 * FEW)]))
    sqlite_stores.sql("DROP TRIGGER full")
    again = sqlite_stores.run(log.append([entry(number) for number in range(3 * FEW)]))
    assert [item.duplicate for item in again] == [True] * FEW + [False] * 2 * FEW
    assert [item.position for item in again] == list(range(1, 3 * FEW + 1))


@pytest.mark.parametrize(
    "when", ["INSERT ON event_key_recent", "DELETE ON event_key_recent", "INSERT ON event_key"]
)
def test_what_failed_while_it_was_noted_was_never_there(sqlite_stores, when):
    log, head = sqlite_stores.log, sqlite_stores.log.head
    refused = 0
    for start in range(0, 20 * FEW, 20):
        batch = [entry(number) for number in range(start, start + 20)]
        before = sqlite_stores.run(head())
        sqlite_stores.sql(f"CREATE TRIGGER full BEFORE {when} BEGIN SELECT RAISE(ABORT, 'full'); END")
        try:
            sqlite_stores.run(log.append(batch))
        except Unavailable:
            refused += 1
            assert sqlite_stores.run(head()) == before
        sqlite_stores.sql("DROP TRIGGER full")
        appended = sqlite_stores.run(log.append(batch))
        assert [item.position for item in appended] == list(range(start + 1, start + 21))
    assert refused


def test_rows_do_not_pile_up_where_each_process_appends_less_than_is_kept(sqlite_stores):
    for start in range(0, EVENTS, FEW // 2):
        sqlite_stores.run(sqlite_stores.log.append([entry(start + n) for n in range(FEW // 2)]))
        forget(sqlite_stores)
        _, recent = rows(sqlite_stores)
        assert len(recent) <= 3 * FEW
    again = sqlite_stores.run(sqlite_stores.log.append([entry(number) for number in range(EVENTS)]))
    assert [result.position for result in again] == list(range(1, EVENTS + 1))
