"""Lists of events where a part of the log was archived: each page says up to where, on each database (S8)."""

import pytest

from gateway.ports import EventQuery, NewEntry


@pytest.fixture
def stores(sql_stores):
    return sql_stores


def fill(stores, count):
    """Append so many events, each at a time of its own."""
    for number in range(count):
        envelope = f'{{"specversion":"1.0","id":"e{number}","source":"/s","type":"a.b"}}'.encode()
        stores.run(stores.log.append([NewEntry("a.b", "/s", f"e{number}", envelope)]))


def archive(stores, until):
    run = stores.run(stores.archives.request(until))
    while not stores.run(stores.archives.step(run.id)).finished:
        pass


def said(stores, **query):
    """Which positions a page shows, where the next one begins, and up to where something was archived."""
    page = stores.run(stores.log.page(EventQuery(**query)))
    until = page.archived_until
    return [item.position for item in page.entries], page.further, None if until is None else until.position


def test_a_page_says_what_was_archived_between_its_ends(stores):
    fill(stores, 30)
    assert said(stores, limit=3)[2] is None
    archive(stores, 10)
    archive(stores, 20)
    assert said(stores, limit=3) == ([30, 29, 28], 28, None)
    assert said(stores, after=23, limit=5) == ([22, 21], None, 20)
    assert said(stores, ascending=True, limit=2) == ([21, 22], 22, 20)
    assert said(stores, ascending=True, after=22, limit=2) == ([23, 24], 24, None)
    assert said(stores, ascending=True, after=5, limit=2) == ([21, 22], 22, 20)
    assert said(stores, agent_id="agent-none")[2] == said(stores, organization="org-none")[2] == 20
    assert said(stores, types=("com.letta.gateway.archived",)) == ([34, 32], None, None)
    assert said(stores, types=("com.letta.gateway.archived", "a.b"))[2] == 20

    stores.run(stores.archives.restore(15))
    assert said(stores, ascending=True, limit=2) == ([11, 12], 12, 10)
    assert said(stores, after=15, limit=3) == ([14, 13, 12], 12, None)
    assert said(stores, after=15)[2] == 10
    stores.run(stores.archives.restore(5))
    assert said(stores, ascending=True, limit=2) == ([1, 2], 2, None)


def test_times_that_lie_in_what_was_archived_are_said(stores):
    fill(stores, 8)
    times = [item.appended_at_us for item in stores.run(stores.log.read(0, 20))]
    assert len(set(times)) == 8
    archive(stores, 3)
    archive(stores, 6)
    page = stores.run(stores.log.page(EventQuery(since_us=times[1], until_us=times[7])))
    until = page.archived_until
    assert ([item.position for item in page.entries], until.position) == ([7], 6)
    assert until.appended_at_us == times[5]
    assert said(stores, until_us=times[2])[2] == 3
    assert said(stores, until_us=times[0])[2] is None
    assert said(stores, since_us=times[5])[2] == 6
    assert said(stores, since_us=times[6])[2] is None


def test_looking_for_an_id_says_what_was_archived_of_the_rows_it_looked_at(stores):
    fill(stores, 10)
    archive(stores, 4)

    def named(**bounds):
        given = {"organization": None, "before": None, "rows": 100, **bounds}
        until = stores.run(stores.log.named("e2", **given)).archived_until
        return None if until is None else until.position

    assert named() == 4
    assert named(rows=5) is None
    assert named(before=5, rows=2) == 4
