"""Texts of any length and content, on every backend."""

import random

import pytest

from gateway.ports import EventQuery, NewEntry

LONG = "/" + random.Random(1).randbytes(40_000).hex()
"""Too long for an index entry of PostgreSQL, however well it is compressed."""


def entry(id_: str = "1", **members) -> NewEntry:
    return NewEntry(**{"type": "t", "source": "/s", "id": id_, "envelope": b"{}"} | members)


def found(stores, **query) -> list[str]:
    return [item.id for item in stores.run(stores.log.search(EventQuery(ascending=True, **query)))]


@pytest.mark.parametrize(
    ("column", "asked"),
    [
        ("source", "source"),
        ("subject", "subject"),
        ("organization", "organization"),
        ("organization", "organization_id"),
        ("agent_id", "agent_id"),
        ("run_id", "run_id"),
    ],
)
def test_a_long_text_is_kept_whole_and_found_by_all_of_it(stores, column, asked):
    """Texts that begin alike are told apart by their ends."""
    texts = [LONG, LONG + "-other", LONG[:-1], LONG[:512], "/short"]
    stores.run(stores.log.append([entry(str(n), **{column: text}) for n, text in enumerate(texts)]))
    for number, text in enumerate(texts):
        assert found(stores, **{asked: text}) == [str(number)]
    assert found(stores, **{asked: LONG[:600]}) == []


def test_a_long_type_is_found_among_others(stores):
    stores.run(stores.log.append([entry("0", type=LONG), entry("1", type="a"), entry("2", type=LONG[:-1])]))
    assert found(stores, types=(LONG,)) == ["0"]
    assert found(stores, types=("a", LONG[:-1])) == ["1", "2"]


def test_the_same_long_event_is_a_duplicate(stores):
    first, again = (stores.run(stores.log.append([entry(LONG, source=LONG, type=LONG)]))[0] for _ in range(2))
    assert (first.duplicate, again.duplicate, again.position) == (False, True, 1)


@pytest.mark.parametrize(
    "query",
    [
        {"source": "/\0"},
        {"subject": "\0"},
        {"agent_id": "a\0"},
        {"organization_id": "\0"},
        {"run_id": "\0"},
        {"trace_id": "\0"},
        {"types": ("\0",)},
        {"types": ("com.letta.gateway.\0",)},
    ],
)
def test_what_no_column_can_hold_is_not_found(stores, query):
    stores.run(stores.log.append([entry()]))
    assert found(stores, **query) == []


def test_no_such_id(stores):
    assert stores.run(stores.subscriptions.get("sub_\0")) is None
    assert stores.run(stores.quarantine.get("qrn_\0")) is None


def test_among_a_type_that_cannot_be_the_others_are_found(stores):
    stores.run(stores.log.append([entry("0", type="a")]))
    assert found(stores, types=("\0", "a")) == ["0"]
