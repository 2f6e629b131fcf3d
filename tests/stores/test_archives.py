"""Archiving on each database: exported, read back, said, dropped; never what is still needed; and back again (S8)."""

import errno
import gzip
import hashlib
import json
from dataclasses import fields

import pytest
from sqlalchemy import text

from gateway.adapters.archive_files import read_rows
from gateway.adapters.sql import archive_dropping, archive_export, archive_restoring
from gateway.adapters.sql.models import LogEntry
from gateway.adapters.sql.rebuild import rebuild
from gateway.adapters.sql.sealed import SubscriptionVault
from gateway.adapters.sql.verify import verify_log
from gateway.adapters.vault import Keyring
from gateway.domain.archive import ArchivedRow
from gateway.domain.erasure import Scope, Target
from gateway.domain.subscription import Config, StartAt, SubscriptionSpec
from gateway.errors import Archived, Conflict, NotFound
from gateway.ports import (
    ArchiveState,
    CursorUpdate,
    EventQuery,
    JournalBatch,
    NewEntry,
    ReplayRange,
    ReplayState,
    RunState,
    SubscriptionState,
    Unreached,
    UnreachedArchive,
)

SECRET = "whsec_" + "A" * 40


@pytest.fixture
def stores(sql_stores):
    return sql_stores


def entry(number, agent="agent-1", organization="org-1", raw=None):
    source = f"/{organization}/{agent}"
    envelope = (
        raw
        or json.dumps(
            {
                "specversion": "1.0",
                "id": f"e{number}",
                "source": source,
                "type": "a.b",
                "data": {"n": number, "ä": "ö"},
            },
            ensure_ascii=False,
        ).encode()
    )
    return NewEntry(
        "a.b",
        source,
        f"e{number}",
        envelope,
        organization=organization,
        agent_id=agent,
        run_id=f"run-{number}",
    )


def fill(stores, count=25, begin=0):
    stores.run(stores.log.append([entry(begin + number, f"agent-{number % 3}") for number in range(count)]))


def subscribe(stores, sink="https://example.com/hook", start=StartAt.NOW):
    spec = SubscriptionSpec(sink=sink, types=("a.b",), config=Config(start=start))
    return stores.run(stores.subscriptions.create(spec, organization="*", privileged=True, secret=SECRET))


def finish(stores, run):
    while not stores.run(stores.archives.step(run.id)).finished:
        pass
    return stores.run(stores.archives.run(run.id))


def routed(stores, position, *cursors):
    stores.run(stores.deliveries.commit(JournalBatch((), (), (), cursors, position)))


def archive(stores, until):
    return finish(stores, stores.run(stores.archives.request(until)))


def positions(stores):
    return [row[0] for row in stores.sql("SELECT position FROM log_entry ORDER BY position")]


def verify(stores, folder=None):
    return stores.run(verify_log(stores.database, archive=folder))


def erase(stores, target):
    record = stores.run(stores.erasures.request(target))
    while not stores.run(stores.erasures.step(record.id)).finished:
        pass
    return stores.run(stores.erasures.get(record.id))


def test_exported_and_dropped(stores):
    fill(stores)
    before = {item.position: item for item in stores.run(stores.log.read(0, 100))}
    run = archive(stores, 20)
    assert (run.state, run.cursor, run.archives, run.events) == (RunState.FINISHED, 20, 1, 20)
    assert positions(stores) == [*range(21, 26), 26, 27]  # the command and what it did
    [record] = stores.run(stores.archives.page(after=0, limit=10))
    path = stores.archives.path(record)
    assert (record.first, record.last, record.state, record.events) == (1, 20, ArchiveState.ARCHIVED, 20)
    assert (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) == (
        record.size_bytes,
        record.sha256,
    )
    assert path.stat().st_mode & 0o777 == 0o600
    rows = list(read_rows(path))
    assert [(row.position, row.envelope, row.row_hash) for row in rows] == [
        (number, before[number].envelope, before[number].row_hash) for number in range(1, 21)
    ]
    assert [item.name for item in stores.folder.iterdir()] == [record.file]
    with gzip.open(path) as lines:
        documents = [json.loads(line) for line in lines]
    assert [item["event"]["id"] for item in documents[1:]] == [f"e{number}" for number in range(20)]


def test_the_chain_is_followed_across_it(stores):
    fill(stores)
    archive(stores, 10)
    archive(stores, 20)
    result = verify(stores)
    assert (result.ok, result.checked, result.archived) == (True, 29, 20), result
    assert verify(stores, stores.folder).ok


def damage(stores, how):
    [record] = stores.run(stores.archives.page(after=0, limit=10))
    path = stores.archives.path(record)
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif how == "other":
        path.write_bytes(b"nothing")
    else:
        lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
        if how == "changed":
            lines[3] = lines[3].replace(b'"n":', b'"m":').replace(b'"n": ', b'"m": ')
        elif how == "short":
            lines.pop()
        elif how == "swapped":
            lines[3], lines[4] = lines[4], lines[3]
        elif how == "emptied":
            row = json.loads(lines[3])
            for name in ("event", "nonce", "agent_id", "run_id"):
                row.pop(name, None)
            lines[3] = json.dumps(row | {"source": "", "event_id": "", "erased_by": 26}).encode() + b"\n"
        path.write_bytes(gzip.compress(b"".join(lines)))


@pytest.mark.parametrize("how", ["missing", "cut", "other", "changed", "short", "swapped", "emptied"])
def test_a_file_that_is_not_what_was_archived_is_found(stores, how):
    fill(stores)
    archive(stores, 20)
    damage(stores, how)
    result = verify(stores, stores.folder)
    assert (result.ok, result.first_bad) == (False, 1), result
    assert verify(stores).ok  # the log itself is sound


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE archive SET last_hash = previous",
        "UPDATE archive SET kept = previous",
        "DELETE FROM archive",
        "UPDATE log_entry SET envelope = nonce WHERE position = 7",
        "DELETE FROM log_entry WHERE position = 7",
        "UPDATE log_entry SET type = 'other' WHERE position = 7",
    ],
)
def test_what_the_database_says_of_an_archive_is_verified(stores, statement):
    fill(stores, 6)
    subscribe(stores, "pull:")  # a fact, at 7, that stays
    fill(stores, 10, begin=100)
    archive(stores, 12)
    assert positions(stores)[0] == 7
    assert verify(stores).ok
    stores.sql(statement)
    assert not verify(stores).ok


def test_what_is_still_to_be_sent_stays(stores):
    fill(stores, 10)
    record = subscribe(stores)
    fill(stores, 10, begin=100)
    plan = stores.run(stores.archives.plan(20))
    assert (plan.first, plan.until) == (1, record.cursor)
    assert [(item.subscription, item.position) for item in plan.held_by] == [(record.id, record.cursor)]
    assert archive(stores, 20).cursor == record.cursor
    again = archive(stores, 20)
    assert (again.state, again.cursor) == (RunState.FAILED, record.cursor)
    assert record.id in again.problem
    routed(stores, 21)
    assert archive(stores, 20).cursor == 20


def test_a_stream_that_stands_holds_what_is_before_it_and_one_that_is_fetched_does_not(stores):
    fill(stores, 5)
    subscribe(stores, "pull:")
    paused = subscribe(stores)
    fill(stores, 10, begin=100)
    stores.run(stores.subscriptions.set_state(paused.number, SubscriptionState.PAUSED, cause="a test"))
    routed(stores, 18)
    assert stores.run(stores.archives.plan(15)).until == paused.cursor
    stores.run(stores.subscriptions.delete(paused.number))
    assert stores.run(stores.archives.plan(15)).until == 15


def test_a_replay_that_runs_holds_its_range(stores):
    fill(stores, 5)
    record = subscribe(stores)
    fill(stores, 5, begin=100)
    routed(stores, 11)
    replay = stores.run(stores.commands.request_replay(record.number, ReplayRange(3, 8, only_failed=False)))
    assert stores.run(stores.archives.plan(10)).until == 2
    stores.run(stores.commands.end_replay(replay.replay, ReplayState.CANCELLED))
    assert stores.run(stores.archives.plan(10)).until == 10


def test_nobody_reads_past_it_without_being_told(stores):
    fill(stores)
    pulled = subscribe(stores, "pull:", start=5)
    archive(stores, 20)
    for start in (StartAt.BEGINNING, 0, 19):
        with pytest.raises(Archived):
            subscribe(stores, start=start)
    subscribe(stores, start=20)
    record = subscribe(stores)
    with pytest.raises(Archived):
        stores.run(stores.commands.request_replay(record.number, ReplayRange(20, 22, only_failed=False)))
    stores.run(stores.commands.request_replay(record.number, ReplayRange(21, 22, only_failed=False)))
    with pytest.raises(Archived):
        stores.run(stores.commands.retry(record.number, 7))
    with pytest.raises(Archived):
        stores.run(stores.subscriptions.update(pulled.number, SubscriptionSpec(sink="https://example.com/")))
    assert stores.run(stores.log.get(7)) is None
    assert stores.run(stores.log.absent(7, 7)) == (1, 20)
    assert stores.run(stores.log.absent(21, 30)) is None
    found = stores.run(stores.log.search(EventQuery(agent_id="agent-1", ascending=True)))
    assert found[0].position > 20


def test_times_are_found_on_both_sides_of_it(stores):
    for number in range(12):
        stores.run(stores.log.append([entry(number)]))
    times = [item.appended_at_us for item in stores.run(stores.log.read(0, 20))]
    archive(stores, 6)
    for index, at_us in enumerate(times):
        expected = index if index >= 6 else 0
        assert stores.run(stores.log.position_at(at_us)) == expected
    assert stores.run(stores.log.position_at(times[5] + 1)) == 6


def test_repetitions_are_known_again(stores):
    fill(stores)
    archive(stores, 20)
    [again] = stores.run(stores.log.append([entry(3, "agent-0")]))
    assert (again.position, again.duplicate) == (4, True)


def test_restored_as_it_was_and_archived_again(stores):
    fill(stores)
    before = stores.run(stores.log.read(0, 25))
    run = archive(stores, 20)
    record = stores.run(stores.archives.restore(7))
    assert record.state is ArchiveState.RESTORED
    assert stores.run(stores.log.read(0, 25)) == before
    assert stores.run(stores.log.absent(1, 30)) is None
    assert stores.run(stores.archives.restore(7)) == record
    found = stores.run(stores.log.search(EventQuery(run_id="run-3")))
    assert [item.position for item in found] == [4]
    result = verify(stores, stores.folder)
    assert (result.ok, result.archived) == (True, 0), result
    subscribe(stores, start=3)
    held = archive(stores, 22)
    assert held.state is RunState.FAILED
    assert (held.cursor, run.cursor) == (0, 20)  # what was put back is in the log
    for item in stores.run(stores.subscriptions.page(organization=None, after=0, limit=10)):
        stores.run(stores.subscriptions.delete(item.number))
    again = archive(stores, 22)
    assert (again.state, again.cursor) == (RunState.FINISHED, 22)
    assert [item for item in positions(stores) if item <= 22] == []
    assert verify(stores, stores.folder).ok


def test_a_plan_has_what_was_put_back(stores):
    fill(stores, 60)
    for until in (20, 40):
        archive(stores, until)
    assert stores.run(stores.archives.plan(40)).positions == 0
    for position in (1, 30):
        stores.run(stores.archives.restore(position))
    plan = stores.run(stores.archives.plan(50))
    assert (plan.first, plan.until, plan.again, plan.positions) == (41, 50, [(1, 20), (21, 40)], 50)
    assert stores.run(stores.archives.plan(30)).again == [(1, 20)]
    record = subscribe(stores, start=25)
    plan = stores.run(stores.archives.plan(50))
    assert (plan.until, plan.again, plan.positions) == (40, [(1, 20)], 20)
    run = archive(stores, 50)
    assert (run.state, run.cursor, run.events, run.archives) == (RunState.FAILED, 20, 20, 1)
    assert f"behind position {record.cursor}" in run.problem
    stores.run(stores.subscriptions.delete(record.number))
    run = archive(stores, 30)
    assert (run.state, run.cursor, run.events) == (RunState.FINISHED, 20, 0)  # the second one ends behind it
    assert stores.run(stores.archives.plan(50)).positions == 30
    run = archive(stores, 50)
    assert (run.state, run.cursor, run.events) == (RunState.FINISHED, 50, 30)
    assert verify(stores, stores.folder).ok


def test_what_is_told_of_several_archives(stores):
    fill(stores, 40)
    for until in (10, 20, 30):
        archive(stores, until)
    assert stores.run(stores.log.absent(1, 100)) == (1, 30)
    assert stores.run(stores.log.absent(15, 15)) == (11, 30)
    stores.run(stores.archives.restore(15))
    assert stores.run(stores.log.absent(1, 100)) == (1, 10)
    assert stores.run(stores.log.absent(11, 100)) == (21, 30)
    assert stores.run(stores.log.absent(11, 20)) is None


def test_every_column_of_the_log_is_archived(stores):
    """A column that a migration adds has to be in the files as well, or it is lost by archiving."""
    columns = {column.name for column in LogEntry.__table__.columns}
    assert {field.name for field in fields(ArchivedRow)} == columns
    fill(stores, 3)
    stores.sql(
        "UPDATE log_entry SET partition_key = 'k', redriven_from = 'q', trace_id = 't', subject = 's',"
        " published_at = 9, contract_broken = true WHERE position = 1"
    )
    before = stores.sql("SELECT * FROM log_entry WHERE position <= 2 ORDER BY position")
    archive(stores, 2)
    stores.run(stores.archives.restore(1))
    assert stores.sql("SELECT * FROM log_entry WHERE position <= 2 ORDER BY position") == before


def test_what_is_not_archived_cannot_be_restored(stores):
    fill(stores)
    with pytest.raises(NotFound):
        stores.run(stores.archives.restore(7))


def test_one_at_a_time(stores):
    fill(stores)
    run = stores.run(stores.archives.request(5))
    with pytest.raises(Conflict):
        stores.run(stores.archives.request(6))
    assert stores.run(stores.archives.open()).id == run.id
    finish(stores, run)
    assert stores.run(stores.archives.open()) is None


def test_an_envelope_on_several_lines_stays_as_it_was_received(stores):
    raw = b'{\r\n "specversion": "1.0", "id": "e1", "source": "/s", "type": "a.b",\n "data": "\xc3\xa4,\\"event\\":"}'
    stores.run(stores.log.append([entry(1, raw=raw), *[entry(number) for number in range(2, 5)]]))
    archive(stores, 2)
    stores.run(stores.archives.restore(1))
    assert stores.run(stores.log.get(1)).envelope == raw


def test_a_part_that_a_process_left_is_removed_and_its_file_written_again(stores):
    fill(stores)
    stores.folder.mkdir()
    (stores.folder / "00000000000000000001.part").write_bytes(b"half")
    (stores.folder / "00000000000000000001-00000000000000000020.ndjson.gz").write_bytes(
        b"of a run that was never said"
    )
    archive(stores, 20)
    assert verify(stores, stores.folder).ok
    assert len(list(stores.folder.iterdir())) == 1


def test_dropping_goes_on_where_it_was(stores, monkeypatch):
    monkeypatch.setattr(archive_dropping, "_MOVED", 7)
    fill(stores)
    run = stores.run(stores.archives.request(20))
    stores.run(stores.archives.step(run.id))  # exported and said
    stores.run(stores.archives.step(run.id))  # seven of them are dropped
    assert positions(stores)[0] == 8
    assert verify(stores, stores.folder).ok
    assert stores.run(stores.log.absent(15, 15)) == (1, 20)
    assert finish(stores, run).cursor == 20
    assert positions(stores)[0] == 21


def test_a_restoring_that_ended_in_its_middle_is_undone(stores, monkeypatch):
    fill(stores)
    archive(stores, 20)
    monkeypatch.setattr(archive_restoring, "_PAGE", 7)
    real, pages = archive_restoring._putting_back, []

    def dies(first, page):
        pages.append(page)
        if len(pages) == 2:
            raise ZeroDivisionError
        return real(first, page)

    monkeypatch.setattr(archive_restoring, "_putting_back", dies)
    with pytest.raises(ZeroDivisionError):
        stores.run(stores.archives.restore(1))
    assert positions(stores)[:2] == [1, 2]
    assert stores.run(stores.log.absent(1, 1)) == (1, 20)
    assert verify(stores, stores.folder).ok
    stores.run(stores.archives.recover())
    assert positions(stores)[0] == 21
    assert stores.run(stores.archives.holding(3)).state is ArchiveState.ARCHIVED
    monkeypatch.undo()
    assert stores.run(stores.archives.restore(1)).state is ArchiveState.RESTORED


def test_a_folder_that_cannot_be_written_ends_it_with_the_reason(stores):
    fill(stores)
    stores.folder.write_text("a file")
    run = archive(stores, 20)
    assert (run.state, run.cursor) == (RunState.FAILED, 0)
    assert "archive" in run.problem
    assert positions(stores)[:20] == [*range(1, 21)]
    stores.folder.unlink()
    assert archive(stores, 20).cursor == 20


def test_a_full_disk_ends_it_and_nothing_is_left_behind(stores, monkeypatch):
    fill(stores, 30)

    def full(_writer, _rows):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(archive_export.ArchiveWriter, "add", full)
        run = archive(stores, 20)
    assert (run.state, run.cursor) == (RunState.FAILED, 0)
    assert run.problem == f"{stores.folder}: No space left on device."
    assert list(stores.folder.iterdir()) == []
    assert archive(stores, 20).cursor == 20


def test_a_file_that_was_not_written_as_it_should_be_is_not_relied_on(stores, monkeypatch):
    """What was written is read back before anything is dropped."""
    fill(stores, 30)
    real = archive_export.ArchiveWriter.finish

    def damaged(writer, name):
        written = real(writer, name)
        path = stores.folder / name
        path.write_bytes(path.read_bytes()[:-30])
        return written

    with monkeypatch.context() as patched:
        patched.setattr(archive_export.ArchiveWriter, "finish", damaged)
        run = archive(stores, 20)
    assert (run.state, run.cursor) == (RunState.FAILED, 0)
    assert positions(stores)[0] == 1


def test_what_is_erased_while_it_is_exported_is_exported_again(stores, monkeypatch):
    fill(stores, 30)
    real = archive_export.ArchiveWriter.finish
    erased = []

    def erasing(writer, name):
        if not erased:
            erased.append(True)
            stores.database.write_now(_erase_by_hand)
        return real(writer, name)

    if not hasattr(stores.database, "write_now"):
        pytest.skip("SQLite's writer can be used from another thread")
    monkeypatch.setattr(archive_export.ArchiveWriter, "finish", erasing)
    run = stores.run(stores.archives.request(20))
    stores.run(stores.archives.step(run.id))
    assert stores.run(stores.archives.page(after=0, limit=1)) == []


def _erase_by_hand(connection):
    connection.execute(
        text("UPDATE log_entry SET envelope = NULL, nonce = NULL, erased_by = 99 WHERE position = 3")
    )


def test_a_damaged_log_is_not_exported(stores):
    fill(stores)
    stores.sql("UPDATE log_entry SET organization = 'other' WHERE position = 9")
    run = archive(stores, 20)
    assert run.state is RunState.FAILED
    assert "position 9" in run.problem
    assert len(positions(stores)) == 26


def test_erased_before_it_was_archived(stores):
    fill(stores)
    erase(stores, Target(Scope.AGENT, "agent-1"))
    archive(stores, 20)
    kept = [number for number in positions(stores) if number <= 20]
    assert kept == [2, 5, 8, 11, 14, 17, 20]  # what is left of them
    rows = list(read_rows(next(stores.folder.glob("*.gz"))))
    assert [row.position for row in rows if row.envelope is None] == kept
    for result in (verify(stores), verify(stores, stores.folder)):
        assert (result.ok, result.erased) == (True, 8), result


@pytest.mark.parametrize("target", [Target(Scope.AGENT, "agent-1"), Target(Scope.ORGANIZATION, "org-1")])
def test_erased_in_archives(stores, target):
    fill(stores, 30)
    archive(stores, 10)
    archive(stores, 20)
    record = erase(stores, target)
    assert (record.archives, record.unreachable) == (2, ())
    assert record.events == (10 if target.scope is Scope.AGENT else 30)
    for path in stores.folder.glob("*.gz"):
        text = gzip.decompress(path.read_bytes())
        assert b"agent-1" not in text
        assert (b"agent-2" in text) is (target.scope is Scope.AGENT)
    for item in stores.run(stores.archives.page(after=0, limit=10)):
        path = stores.archives.path(item)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == item.sha256
    result = verify(stores, stores.folder)
    assert result.ok, result
    assert result.erased == record.events
    assert verify(stores).ok
    assert erase(stores, target).events == 0
    stores.run(stores.archives.restore(3))
    assert stores.run(stores.log.get(2)).envelope is None
    result = verify(stores, stores.folder)
    assert result.ok, result


def test_erased_in_what_was_restored(stores):
    fill(stores, 30)
    archive(stores, 20)
    stores.run(stores.archives.restore(1))
    record = erase(stores, Target(Scope.AGENT, "agent-1"))
    assert (record.events, record.archives) == (10, 1)
    assert b"agent-1" not in gzip.decompress(next(stores.folder.glob("*.gz")).read_bytes())
    assert verify(stores, stores.folder).ok
    assert archive(stores, 20).state is RunState.FINISHED
    result = verify(stores, stores.folder)
    assert result.ok, result


def test_an_archive_that_was_taken_away_is_named(stores):
    fill(stores, 30)
    archive(stores, 20)
    path = next(stores.folder.glob("*.gz"))
    path.rename(stores.folder.parent / "elsewhere")
    record = erase(stores, Target(Scope.AGENT, "agent-1"))
    assert record.unreachable == (UnreachedArchive(path.name, Unreached.MISSING),)
    assert record.events == 3


@pytest.mark.parametrize("how", ["cut", "other", "a line"])
def test_an_archive_that_cannot_be_read_is_named_with_the_reason(stores, how):
    fill(stores, 30)
    archive(stores, 20)
    path = next(stores.folder.glob("*.gz"))
    whole = path.read_bytes()
    if how == "a line":
        lines = gzip.decompress(whole).splitlines(keepends=True)
        path.write_bytes(gzip.compress(b"".join([*lines[:3], b'{"position": 3, "event": {"secret": 1}}\n'])))
    else:
        damage(stores, how)
    record = erase(stores, Target(Scope.AGENT, "agent-1"))
    [left] = record.unreachable
    assert (left.file, left.why) == (path.name, Unreached.DAMAGED)
    assert ("line 4 cannot be read" in left.detail) is (how == "a line")
    assert "secret" not in left.detail
    path.write_bytes(whole)
    record = erase(stores, Target(Scope.AGENT, "agent-1"))
    assert (record.unreachable, record.events) == ((), 7)
    assert verify(stores, stores.folder).ok


def test_what_an_erasure_left_in_a_file_cannot_be_changed(stores):
    fill(stores, 30)
    archive(stores, 20)
    erase(stores, Target(Scope.AGENT, "agent-1"))
    path = next(stores.folder.glob("*.gz"))
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"type":"a.b"', b'"type":"a.c"')
    path.write_bytes(gzip.compress(b"".join(lines)))
    assert not verify(stores, stores.folder).ok


def test_a_rebuild_goes_on_from_what_is_left(stores):
    fill(stores, 10)
    record = subscribe(stores)
    fill(stores, 10, begin=100)
    routed(stores, 21, CursorUpdate(record.number, 21, live=True))
    archive(stores, 20)
    vault = SubscriptionVault(Keyring((bytes(range(32)),)))
    found = stores.run(rebuild(stores.database, vault, now_us=stores.clock()))
    assert (found.subscriptions, found.pending) == (1, 0)
    again = stores.run(stores.subscriptions.get(record.id))
    assert again.start_position == record.start_position
    assert again.cursor == 20  # what is there of it at 21 was never tried
