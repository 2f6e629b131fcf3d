"""The log, on every backend: gapless, deduplicated, chained, searchable (S1, S7, S8)."""

import asyncio
import json
from dataclasses import replace

import pytest

from gateway.domain.chain import GENESIS, row_hash
from gateway.ports import Appended, EventQuery, Kind, NewEntry, NewQuarantine


def entry(number: int, **members) -> NewEntry:
    found = {
        "type": "test.happened",
        "source": "/test",
        "id": f"e{number}",
        "envelope": json.dumps({"id": f"e{number}"}).encode(),
    }
    return NewEntry(**(found | members))


def positions(entries) -> list[int]:
    return [item.position for item in entries]


def test_positions_are_gapless_and_in_order_of_commit(stores):
    async def all_at_once():
        return await asyncio.gather(
            *(stores.log.append([entry(n * 10 + k) for k in range(3)]) for n in range(20))
        )

    results = stores.run(all_at_once())
    assert sorted(item.position for part in results for item in part) == list(range(1, 61))
    assert all(positions(part) == list(range(part[0].position, part[0].position + 3)) for part in results)
    assert stores.run(stores.log.head()).position == 60
    assert positions(stores.run(stores.log.read(0, 100))) == list(range(1, 61))


def test_s7c_a_repetition_answers_with_the_originals_position(stores):
    assert stores.run(stores.log.append([entry(1), entry(2), entry(1)])) == [
        Appended(1, duplicate=False),
        Appended(2, duplicate=False),
        Appended(1, duplicate=True),
    ]
    again = entry(2, envelope=b'{"other": true}')
    assert stores.run(stores.log.append([again, entry(3)])) == [
        Appended(2, duplicate=True),
        Appended(3, duplicate=False),
    ]
    assert stores.run(stores.log.get(2)).envelope == b'{"id": "e2"}'  # the first wins
    # The pair counts: the same id from another source is another event.
    assert stores.run(stores.log.append([entry(1, source="/other")]))[0].position == 4


def test_an_entry_comes_back_as_it_went_in(stores):
    raw = b'{ "id" : "x", "data" : "\\u00e9 \xc3\xa9" }'
    stores.run(stores.log.append([entry(1, envelope=raw, organization="org-1")]))
    found = stores.run(stores.log.get(1))
    assert (found.kind, found.envelope, found.organization) == (Kind.EVENT, raw, "org-1")
    assert stores.run(stores.log.get(2)) is None
    assert stores.run(stores.log.get(0)) is None


def test_appended_at_never_goes_back(stores):
    stores.run(stores.log.append([entry(1)]))
    stores.clock.now_us -= 60_000_000
    stores.run(stores.log.append([entry(2)]))
    first, second = stores.run(stores.log.read(0, 10))
    assert second.appended_at_us >= first.appended_at_us


def test_position_at_is_the_last_one_before_a_time(stores):
    times = []
    for number in range(1, 8):
        stores.run(stores.log.append([entry(number)]))
        times.append(stores.run(stores.log.get(number)).appended_at_us)
    assert stores.run(stores.log.position_at(times[0])) == 0
    assert stores.run(stores.log.position_at(times[4])) == 4
    assert stores.run(stores.log.position_at(times[4] + 1)) == 5
    assert stores.run(stores.log.position_at(times[-1] + 1)) == 7


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (EventQuery(), [4, 3, 2, 1]),
        (EventQuery(ascending=True, after=2), [3, 4]),
        (EventQuery(after=3, limit=1), [2]),
        (EventQuery(types=("a",)), [3, 1]),
        (EventQuery(source="/s2"), [2]),
        (EventQuery(subject="x"), [1]),
        (EventQuery(agent_id="agent-1"), [4, 2]),
        (EventQuery(run_id="run-1"), [3]),
        (EventQuery(trace_id="t" * 32), [4]),
        (EventQuery(organization="org-1"), [1]),
        (EventQuery(organization="org-1", organization_id="org-2"), []),
        (EventQuery(types=("a",), agent_id="agent-1"), []),
    ],
)
def test_search(stores, query, expected):
    stores.run(
        stores.log.append(
            [
                entry(1, type="a", subject="x", organization="org-1"),
                entry(2, type="b", source="/s2", agent_id="agent-1", organization="org-2"),
                entry(3, type="a", run_id="run-1"),
                entry(4, type="c", agent_id="agent-1", trace_id="t" * 32),
            ]
        )
    )
    assert positions(stores.run(stores.log.search(query))) == expected


def test_events_of_an_id_are_found_by_looking_back_so_far(stores):
    first = replace(entry(1), id="same", organization="org-1")
    stores.run(stores.log.append([first, entry(2), replace(entry(3), id="same", source="/other"), entry(4)]))

    def named(event_id, **bounds):
        given = {"organization": None, "before": None, "rows": 10, **bounds}
        page = stores.run(stores.log.named(event_id, **given))
        return positions(page.entries), page.further

    assert named("same") == ([3, 1], None)
    assert named("same", organization="org-1") == ([1], None)
    assert named("same", rows=2) == ([3], 3)
    assert named("same", rows=2, before=3) == ([1], None)
    assert named("same", before=1) == ([], None)
    assert named("none", rows=3) == ([], 2)
    assert named("a\0b") == named("") == ([], None)


def test_when_the_stream_had_an_event_is_kept_beside_it(stores):
    stores.run(stores.log.append([replace(entry(1), published_at_us=1_767_225_600_123_000), entry(2)]))
    assert [item.published_at_us for item in stores.run(stores.log.read(0, 10))] == [
        1_767_225_600_123_000,
        None,
    ]


def test_that_a_contract_was_broken_is_kept_beside_the_event(stores):
    told = stores.run(stores.log.append([replace(entry(1), contract_broken=True), entry(2)]))
    assert [item.entry.contract_broken for item in told] == [True, False]
    assert [item.contract_broken for item in stores.run(stores.log.read(0, 10))] == [True, False]
    assert stores.run(stores.log.get(1)).contract_broken is True


def test_quarantine_is_written_with_the_append_and_once_per_entry(stores):
    record = NewQuarantine(
        "redis:s", "1-1", "malformed", [{"pointer": "/id", "detail": "is missing"}], b"\xff\x00"
    )
    for _ in range(2):
        stores.run(stores.log.append([entry(1)], [record]))
    (found,) = stores.run(stores.quarantine.page(organization=None, before=None, limit=10))
    assert (found.reason, found.payload, found.size_bytes) == ("malformed", None, 2)
    assert list(found.problems) == [{"pointer": "/id", "detail": "is missing"}]
    whole = stores.run(stores.quarantine.get(found.id))
    assert (whole.entry_id, whole.payload) == ("1-1", b"\xff\x00")
    assert stores.run(stores.quarantine.get("qrn_none")) is None
    assert stores.run(stores.quarantine.page(organization="org-1", before=None, limit=10)) == []


def test_quarantine_is_paged_the_newest_first(stores):
    for number in range(5):
        stores.run(stores.log.append([], [NewQuarantine("redis:s", f"{number}-0", "malformed", [], b"")]))
    seen, before = [], None
    while page := stores.run(stores.quarantine.page(organization=None, before=before, limit=2)):
        seen += [record.entry_id for record in page]
        before = (page[-1].received_at_us, page[-1].id)
    assert seen == ["4-0", "3-0", "2-0", "1-0", "0-0"]


def test_s8a_each_row_is_chained_to_the_one_before(sql_stores):
    stores = sql_stores
    stores.run(stores.log.append([entry(1), entry(2, organization="org-1")]))
    stores.run(stores.log.append([entry(3)]))
    hashes = [bytes(row[0]) for row in stores.sql("SELECT payload_hash FROM log_entry ORDER BY position")]
    previous = GENESIS
    for found, payload in zip(stores.run(stores.log.read(0, 10)), hashes, strict=True):
        previous = row_hash(
            previous,
            position=found.position,
            kind=found.kind.value,
            type=found.type,
            source=found.source,
            id=found.id,
            organization=found.organization,
            appended_at_us=found.appended_at_us,
            payload_hash=payload,
        )
        assert found.row_hash == previous
