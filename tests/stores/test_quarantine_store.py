"""The quarantine on every backend: taken out once, kept with newer reasons, or forgotten (S7b)."""

import pytest

from gateway.domain.erasure import Scope, Target
from gateway.errors import Conflict, NotFound
from gateway.ports import NewEntry, NewQuarantine, QuarantineState


@pytest.fixture
def record(stores):
    return put(stores)


def put(stores, entry_id: str = "1-0"):
    new = NewQuarantine(
        "redis:s", entry_id, "malformed", [{"pointer": "", "detail": "x"}], b"what came", "org-1"
    )
    stores.run(stores.log.append([], [new]))
    return page(stores, None)[0]


def page(stores, state=QuarantineState.OPEN):
    return list(stores.run(stores.quarantine.page(organization="org-1", before=None, limit=50, state=state)))


def entry(record, number: str = "1"):
    return NewEntry(
        type="t", source="/s", id=number, envelope=b"{}", organization="org-1", redriven_from=record.id
    )


def test_it_is_appended_at_the_end_and_marked_in_one_transaction(stores, record):
    stores.run(stores.log.append([NewEntry(type="t", source="/s", id="0", envelope=b"{}")]))
    appended = stores.run(stores.quarantine.redrive(record.id, entry(record)))
    assert (appended.position, appended.duplicate) == (2, False)
    assert stores.run(stores.log.get(2)).redriven_from == record.id
    assert stores.run(stores.log.get(1)).redriven_from is None
    assert [item.redriven_from for item in stores.run(stores.log.read(0, 9))] == [None, record.id]
    after = stores.run(stores.quarantine.get(record.id))
    assert (after.state, after.position) == ("redriven", 2)
    assert after.payload == b"what came"
    assert (page(stores), [item.id for item in page(stores, QuarantineState.REDRIVEN)]) == ([], [record.id])


def test_again_answers_with_the_same_position(stores, record):
    first = stores.run(stores.quarantine.redrive(record.id, entry(record)))
    again = stores.run(stores.quarantine.redrive(record.id, entry(record, "2")))
    assert (again.position, again.duplicate) == (first.position, True)
    assert stores.run(stores.log.head()).position == 1


def test_a_duplicate_is_where_its_original_is(stores, record):
    stores.run(stores.log.append([entry(record)]))
    appended = stores.run(stores.quarantine.redrive(record.id, entry(record)))
    assert (appended.position, appended.duplicate) == (1, True)
    assert stores.run(stores.quarantine.get(record.id)).position == 1


def test_it_is_kept_with_newer_reasons_while_it_is_open(stores, record):
    problems = [{"pointer": "/data", "detail": "must be there"}]
    stores.run(stores.quarantine.keep(record.id, "contract-broken", problems))
    after = stores.run(stores.quarantine.get(record.id))
    assert (after.reason, after.problems, after.state) == ("contract-broken", problems, "open")
    stores.run(stores.quarantine.redrive(record.id, entry(record)))
    stores.run(stores.quarantine.keep(record.id, "malformed", []))
    assert stores.run(stores.quarantine.get(record.id)).reason == "contract-broken"


def test_what_is_discarded_is_gone_and_does_not_come_again_with_a_repeated_batch(stores, record):
    other = put(stores, "2-0")
    stores.run(stores.quarantine.discard(record.id))
    assert stores.run(stores.quarantine.get(record.id)) is None
    assert [item.id for item in page(stores, None)] == [other.id]
    for again in (
        stores.quarantine.discard(record.id),
        stores.quarantine.redrive(record.id, entry(record)),
        stores.quarantine.keep(record.id, "malformed", []),
    ):
        with pytest.raises(NotFound):
            stores.run(again)
    put(stores, "1-0")
    assert [item.id for item in page(stores, None)] == [other.id]
    assert stores.run(stores.log.head()).position == 0


def test_what_was_taken_may_be_forgotten_here_and_stays_in_the_log(stores, record):
    stores.run(stores.quarantine.redrive(record.id, entry(record)))
    stores.run(stores.quarantine.discard(record.id))
    assert stores.run(stores.quarantine.get(record.id)) is None
    assert stores.run(stores.log.get(1)).redriven_from == record.id


def test_nothing_of_what_came_in_is_left_of_what_is_discarded(sql_stores):
    record = put(sql_stores)
    sql_stores.run(sql_stores.quarantine.discard(record.id))
    [row] = sql_stores.sql("SELECT payload, problems, state FROM quarantine")
    assert (bytes(row.payload), row.problems, row.state) == (b"", "[]", "discarded")


def test_what_is_in_another_state_is_not_taken(sql_stores):
    record = put(sql_stores)
    sql_stores.sql("UPDATE quarantine SET state = 'erased'")
    with pytest.raises(Conflict):
        sql_stores.run(sql_stores.quarantine.redrive(record.id, entry(record)))


@pytest.mark.parametrize("unknown", ["qrn_nothing", "\0"])
def test_what_never_was(stores, unknown):
    for asked in (stores.quarantine.discard(unknown), stores.quarantine.keep(unknown, "x", [])):
        with pytest.raises(NotFound):
            stores.run(asked)


def test_s8b_nothing_is_taken_past_an_erasure_and_what_is_erased_is_nobodys(stores, record):
    target = Target(Scope.ORGANIZATION, "org-1")
    elsewhere = put(stores, "3-0")
    stores.run(stores.erasures.request(Target(Scope.ORGANIZATION, "org-2")))
    assert stores.run(stores.quarantine.redrive(elsewhere.id, entry(elsewhere))).position == 2
    gone = put(stores, "2-0")
    stores.run(stores.quarantine.discard(gone.id))
    erasure = stores.run(stores.erasures.request(target))
    with pytest.raises(Conflict):
        stores.run(stores.quarantine.redrive(record.id, entry(record)))
    while not stores.run(stores.erasures.step(erasure.id)).finished:
        pass
    after = stores.run(stores.quarantine.get(record.id))
    assert (after.state, after.payload) == ("erased", b"")
    with pytest.raises(Conflict):
        stores.run(stores.quarantine.redrive(record.id, entry(record)))
    assert stores.run(stores.quarantine.get(gone.id)) is None
