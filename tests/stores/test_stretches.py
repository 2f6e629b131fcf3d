"""Searches by indexes that are kept by stretches of the log: nothing is missed at their ends, and order holds."""

import dataclasses

import pytest

from gateway.adapters.sql.stretches import stretches
from gateway.ports import EventQuery, NewEntry

STRETCH = 2_048
ROWS = 3 * STRETCH + 100
RARE = [1, STRETCH - 1, STRETCH, STRETCH + 1, 2 * STRETCH, 3 * STRETCH - 1, ROWS]
COLUMNS = ["source", "subject", "agent_id", "run_id", "trace_id", "organization"]


def entry(position: int) -> NewEntry:
    rare = "rare" if position in RARE else "frequent"
    named = {name: f"{rare}-{name}" for name in (*COLUMNS, "partition_key")}
    return NewEntry(type="test.happened", id=str(position), envelope=b"{}", **named)


@pytest.fixture(scope="module")
def long(module_stores):
    for start in range(1, ROWS + 1, 500):
        batch = [entry(position) for position in range(start, min(start + 500, ROWS + 1))]
        module_stores.run(module_stores.log.append(batch))
    return module_stores


def positions(stores, **query) -> list[int]:
    found = stores.run(stores.log.search(EventQuery(**query)))
    return [item.position for item in found]


@pytest.mark.parametrize("column", COLUMNS)
def test_what_is_rare_is_found_in_every_stretch(long, column):
    wanted = {("organization_id" if column == "organization" else column): f"rare-{column}"}
    assert positions(long, **wanted) == RARE[::-1]
    assert positions(long, **wanted, ascending=True) == RARE
    assert positions(long, **wanted, limit=3) == RARE[:-4:-1]
    assert positions(long, **wanted, ascending=True, limit=3) == RARE[:3]
    assert positions(long, **wanted, after=STRETCH) == RARE[1::-1]
    assert positions(long, **wanted, after=STRETCH, ascending=True) == RARE[3:]
    assert positions(long, **wanted, types=["test.happened"]) == RARE[::-1]
    assert positions(long, **wanted, types=["other"]) == []


@pytest.mark.parametrize("column", COLUMNS)
def test_what_is_frequent_fills_a_page_in_order(long, column):
    wanted = {("organization_id" if column == "organization" else column): f"frequent-{column}"}
    frequent = [position for position in range(1, ROWS + 1) if position not in RARE]
    assert positions(long, **wanted, limit=40) == frequent[:-41:-1]
    before = [position for position in frequent if position < STRETCH + 10]
    assert positions(long, **wanted, limit=40, after=STRETCH + 10) == before[:-41:-1]
    assert positions(long, **wanted, limit=2 * STRETCH, ascending=True) == frequent[: 2 * STRETCH]


def test_all_conditions_hold_whichever_index_is_read(long):
    both = {"agent_id": "rare-agent_id", "trace_id": "rare-trace_id"}
    assert positions(long, **both) == RARE[::-1]
    assert positions(long, **both | {"agent_id": "frequent-agent_id"}) == []


def test_between_two_times(long):
    first, last = (long.run(long.log.get(position)).appended_at_us for position in (STRETCH, 2 * STRETCH))
    at = {"since_us": first, "until_us": last, "subject": "rare-subject"}
    # An append is one moment: what came with the first of them is in, what came with the last is not.
    found = [position for position in RARE if first <= long.run(long.log.get(position)).appended_at_us < last]
    assert positions(long, **at) == found[::-1]
    assert positions(long, **at, ascending=True) == found


def test_a_key_is_read_across_stretches(long):
    def read(key, after, until, limit=100):
        found = long.run(long.log.read_key(key, after, until, limit))
        return [item.position for item in found]

    assert read("rare-agent_id", 0, ROWS) == RARE
    assert read("rare-partition_key", 1, 3 * STRETCH - 1) == RARE[1:-1]
    assert read("rare-partition_key", 1, 10 * ROWS, limit=2) == RARE[1:3]
    assert read("rare-agent_id", ROWS, ROWS) == []
    assert read("nobody\0", 0, ROWS) == []


@pytest.mark.parametrize(("first", "last"), [(1, 0), (1, 1), (1, STRETCH), (5_000, 1_000_000)])
@pytest.mark.parametrize("ascending", [True, False])
def test_each_stretch_is_asked_once_in_order(first, last, ascending):
    lists = list(stretches(first, last, ascending=ascending))
    asked = [stretch for part in lists for stretch in dict.fromkeys(part)]
    expected = list(range(first // STRETCH, last // STRETCH + 1)) if last >= first else asked
    assert asked == (expected if ascending else expected[::-1])
    assert {len(part) for part in lists} <= {1, 4, 16, 64}


def test_an_entry_is_what_a_search_gives(long):
    (found,) = long.run(long.log.search(EventQuery(trace_id="rare-trace_id", limit=1)))
    assert found == dataclasses.replace(long.run(long.log.get(ROWS)))
