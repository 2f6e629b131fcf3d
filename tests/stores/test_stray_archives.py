"""Files of archives that the database does not know, as a restored backup leaves them: erasures find them (S8b)."""

import gzip
import json

import pytest

from gateway.adapters.archive_files import read_rows
from gateway.domain.erasure import Scope, Target
from gateway.ports import NewEntry, Unreached, UnreachedArchive

AGENT = Target(Scope.AGENT, "agent-1")


@pytest.fixture
def stores(sql_stores):
    return sql_stores


def fill(stores, count, begin=0):
    def entry(number):
        envelope = json.dumps({"id": f"e{number}", "agent": f"agent-{number % 3}"}).encode()
        return NewEntry("a.b", "/s", f"e{number}", envelope, agent_id=f"agent-{number % 3}")

    stores.run(stores.log.append([entry(begin + number) for number in range(count)]))


def archive(stores, until):
    run = stores.run(stores.archives.request(until))
    while not stores.run(stores.archives.step(run.id)).finished:
        pass


def erase(stores, target=AGENT):
    record = stores.run(stores.erasures.request(target))
    while not stores.run(stores.erasures.step(record.id)).finished:
        pass
    return stores.run(stores.erasures.get(record.id))


def forget(stores, *positions):
    """The database is that of before the archivings: the log has the events, and nothing is known of the files."""
    for position in positions:
        stores.run(stores.archives.restore(position))
    stores.sql("DELETE FROM archive")


def files(stores):
    return sorted(stores.folder.glob("*.gz"))


def words(path):
    content = gzip.decompress(path.read_bytes())
    return {f"agent-{number}" for number in range(3) if b"agent-%d" % number in content}


def change(path, old, new):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(old, new)))


def test_a_file_that_the_database_does_not_know_loses_what_is_erased(stores):
    fill(stores, 30)
    archive(stores, 20)
    forget(stores, 1)
    [path] = files(stores)
    record = erase(stores)
    assert (record.events, record.archives, record.unreachable) == (10, 1, ())
    assert words(path) == {"agent-0", "agent-2"}
    left = {row.position: row.erased_by for row in read_rows(path) if row.erased_by is not None}
    said = stores.sql(
        "SELECT position, erased_by FROM log_entry WHERE erased_by IS NOT NULL AND position <= 20"
    )
    assert left == dict(tuple(row) for row in said)  # as the log says it
    archive(stores, 25)
    assert len(files(stores)) == 2
    assert erase(stores).archives == 0
    assert erase(stores, Target(Scope.AGENT, "agent-2")).archives == 2
    assert [words(item) for item in files(stores)] == [{"agent-0"}, {"agent-0"}]


def test_what_lies_behind_the_end_of_the_restored_log_goes_too(stores):
    fill(stores, 10)
    archive(stores, 5)
    archive(stores, 10)
    forget(stores, 1, 10)
    stores.sql("DELETE FROM log_entry WHERE position > 3")
    stores.sql(
        "UPDATE log_head SET position = 3, row_hash = (SELECT row_hash FROM log_entry WHERE position = 3)"
    )
    stores.sql("DELETE FROM event_key")
    stores.sql("DELETE FROM event_key_recent")
    stores.sql("DELETE FROM archiving")
    record = erase(stores)
    assert (record.events, record.archives, record.unreachable) == (1, 2, ())
    assert [words(item) for item in files(stores)] == [{"agent-0", "agent-2"}] * 2
    assert [row.position for path in files(stores) for row in read_rows(path)] == [*range(1, 11)]


def test_what_came_after_the_command_stays_in_it(stores):
    fill(stores, 20)
    archive(stores, 10)
    forget(stores, 1)
    [path] = files(stores)
    stores.sql("UPDATE log_entry SET agent_id = NULL WHERE position = 5")  # as if it were behind the command
    assert erase(stores).archives == 1
    assert words(path) == {"agent-0", "agent-1", "agent-2"}
    assert [row.position for row in read_rows(path) if row.agent_id == "agent-1"] == [5]


def test_another_logs_file_is_left_as_it_is_and_named(stores):
    fill(stores, 20)
    archive(stores, 10)
    forget(stores, 1)
    [path] = files(stores)
    change(path, b'"row_hash":"', b'"row_hash":"00')
    content = path.read_bytes()
    assert erase(stores).unreachable == (UnreachedArchive(path.name, Unreached.UNKNOWN),)
    assert path.read_bytes() == content
    assert erase(stores, Target(Scope.AGENT, "nobody")).unreachable == ()
    path.unlink()
    assert erase(stores).unreachable == ()


def test_one_that_cannot_be_read_is_named(stores):
    fill(stores, 20)
    archive(stores, 10)
    forget(stores, 1)
    [path] = files(stores)
    path.write_bytes(path.read_bytes()[:-20])
    [left] = erase(stores).unreachable
    assert (left.file, left.why) == (path.name, Unreached.DAMAGED)
