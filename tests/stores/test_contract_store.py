"""The contracts on every backend: numbered, never changed, and with their place in the log."""

import hashlib
import json

import pytest

from gateway.adapters.memory import contracts as memory_contracts
from gateway.adapters.sql import contracts as sql_contracts
from gateway.errors import Conflict
from gateway.ports import EventQuery, Kind, NewContract, NewEntry

REGISTERED = "com.letta.gateway.contract.registered"
ORDER = "com.example.order.placed"


def wanted(document: bytes = b"{}", *, type_: str = ORDER, **members) -> NewContract:
    group, name = (".".join(part) for part in (type_.split(".")[:2], type_.split(".")[2:]))
    standard = {"group": group, "name": name, "compatibility": "forward_transitive"}
    return NewContract(type=type_, document=document, **(standard | members))


def add(stores, version: int = 1, document: bytes = b"{}", **members):
    return stores.run(stores.contracts.add(wanted(document, **members), version))


def everything(stores):
    return stores.run(stores.contracts.all())


def facts(stores):
    return stores.run(stores.log.search(EventQuery(types=(REGISTERED,), ascending=True)))


def append_event(stores, number: str) -> int:
    entry = NewEntry("com.example.x", "/source", number, b'{"specversion":"1.0"}')
    return stores.run(stores.log.append([entry]))[0].position


def test_versions_are_numbered_and_keep_what_the_first_one_said(stores):
    one = add(stores, 1, b'{"a":1}', compatibility="full_transitive")
    two = add(stores, 2, b'{"a":2}', compatibility="none")
    assert (one.version, one.group, one.name, one.document) == (1, "com.example", "order.placed", b'{"a":1}')
    assert (two.version, two.compatibility, two.shipped) == (2, "full_transitive", False)
    assert one.created_at_us < two.created_at_us
    other = add(stores, 1, type_="com.example.a")
    assert everything(stores) == [other, one, two]


def test_registering_one_is_a_fact_of_the_administrators_and_its_place_in_the_log(stores):
    before = append_event(stores, "1")
    made = add(stores, 1, b'{"a":1}', by="tok_a")
    [fact] = facts(stores)
    assert (fact.kind, fact.organization) == (Kind.FACT, None)
    assert before < made.since == fact.position
    said = json.loads(fact.envelope)
    assert (said["subject"], said["source"]) == (ORDER, "http://gateway/gateway")
    assert said["data"] == {
        "type": ORDER,
        "version": 1,
        "group": "com.example",
        "schema": "order.placed",
        "compatibility": "forward_transitive",
        "sha256": hashlib.sha256(b'{"a":1}').hexdigest(),
        "by": "tok_a",
    }


@pytest.mark.parametrize("version", [0, 1, 3])
def test_only_the_next_one_is_taken(stores, version):
    made = add(stores)
    with pytest.raises(Conflict):
        add(stores, version, b'{"b":1}')
    assert everything(stores) == [made]
    assert len(facts(stores)) == 1


def test_a_type_has_one_place_and_a_place_one_type(stores):
    add(stores)
    with pytest.raises(Conflict, match=r"com\.example/order\.placed"):
        add(stores, 2, name="com.example.order.placed")
    with pytest.raises(Conflict):
        add(stores, 1, type_="com.example.other", name="order.placed")
    assert len(everything(stores)) == 1


def test_there_is_a_bound_in_all_and_for_each_type(stores, monkeypatch):
    for module in (memory_contracts, sql_contracts):
        monkeypatch.setattr(module, "VERSIONS_MAX", 2)
        monkeypatch.setattr(module, "CONTRACTS_MAX", 3)
    for version in (1, 2):
        add(stores, version, str(version).encode())
    with pytest.raises(Conflict, match="no further"):
        add(stores, 3, b"3")
    add(stores, 1, type_="com.example.a")
    with pytest.raises(Conflict, match="no further"):
        add(stores, 1, type_="com.example.b")


def test_what_a_release_brings_is_taken_over_once_and_is_no_fact(stores):
    step = wanted(b'{"a":1}', type_="com.letta.agent.step")
    run = wanted(b'{"a":1}', type_="com.letta.agent.run")
    taken = stores.run(stores.contracts.adopt([step, run]))
    assert [(item.type, item.version, item.since, item.shipped) for item in taken] == [
        ("com.letta.agent.step", 1, 0, True),
        ("com.letta.agent.run", 1, 0, True),
    ]
    assert stores.run(stores.contracts.adopt([step, run])) == []
    assert len(everything(stores)) == 2
    assert facts(stores) == []


def test_what_a_later_release_brings_stands_behind_what_was_registered(stores):
    first = wanted(b'{"a":1}', type_="com.letta.agent.step")
    stores.run(stores.contracts.adopt([first]))
    own = add(stores, 2, b'{"own":1}', type_="com.letta.agent.step")
    position = append_event(stores, "1")
    second = wanted(b'{"a":2}', type_="com.letta.agent.step")
    [taken] = stores.run(stores.contracts.adopt([first, second]))
    assert (taken.version, taken.since, taken.document) == (3, position, b'{"a":2}')
    # The release before it, started again, changes nothing: what was served under a number stays.
    assert stores.run(stores.contracts.adopt([first])) == []
    assert [item.version for item in everything(stores)] == [1, 2, 3]
    assert everything(stores)[1] == own


def test_what_was_registered_and_is_brought_later_is_the_same(stores):
    made = add(stores, 1, b'{"a":1}', type_="com.letta.agent.step")
    assert stores.run(stores.contracts.adopt([wanted(b'{"a":1}', type_="com.letta.agent.step")])) == []
    assert everything(stores) == [made]
