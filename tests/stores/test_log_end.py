"""A log that lost its end is found by its head (S3a); one whose end is archived has lost nothing."""

import pytest

from gateway.adapters.sql.log_end import check_end
from gateway.errors import LogCut
from gateway.ports import NewEntry


@pytest.fixture
def stores(sql_stores):
    return sql_stores


def fill(stores, count):
    entries = [NewEntry("a.b", "/s", f"e{number}", b'{"n": %d}' % number) for number in range(count)]
    stores.run(stores.log.append(entries))


def check(stores):
    stores.run(check_end(stores.database))


def test_a_whole_log_has_its_end(stores):
    check(stores)
    fill(stores, 5)
    check(stores)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM log_entry WHERE position > 3", "ends at position 5, and the last row is 3"),
        ("DELETE FROM log_entry", "the last row is 0"),
        ("UPDATE log_head SET position = 4", "ends at position 4, and the last row is 5"),
        ("UPDATE log_entry SET row_hash = payload_hash WHERE position = 5", "position 5, the last one"),
    ],
)
def test_a_log_that_lost_its_end_is_named(stores, statement, said):
    fill(stores, 5)
    stores.sql(statement)
    with pytest.raises(LogCut, match=said):
        check(stores)


def test_an_end_that_was_archived_is_not_lost(stores):
    fill(stores, 5)
    run = stores.run(stores.archives.request(5))
    while not stores.run(stores.archives.step(run.id)).finished:
        pass
    check(stores)  # the facts about it are the end
    stores.sql("DELETE FROM log_entry WHERE position > 5")
    with pytest.raises(LogCut, match="the last row is 0"):
        check(stores)
    stores.sql("UPDATE log_head SET position = 5")
    check(stores)
    stores.run(stores.archives.restore(5))
    check(stores)
