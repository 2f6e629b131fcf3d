"""Rows about subscriptions and their filters (CloudEvents Subscriptions API), by row number."""

import pytest


def refused(gateway, sink, **members):
    answer = gateway.client.post("/v1/subscriptions", json={"sink": sink.url} | members)
    assert answer.status_code == 422, answer.text
    return [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"filters": [{"sql": "type = 'x'"}]}, "/filters/0/sql"),
        ({"filters": [{"exact": {"type": ""}}]}, "/filters/0/exact/type"),
        ({"filters": [{"exact": {}}]}, "/filters/0/exact"),
        ({"filters": [{"all": []}]}, "/filters/0/all"),
        ({"protocol": "MQTT"}, "/protocol"),
    ],
)
def test_row_36_unknown_dialects_and_protocols_and_empty_values_are_refused(shared, sink, members, pointer):
    assert refused(shared, sink, **members) == [pointer]


def test_row_36_a_given_id_is_ignored_and_credentials_are_write_only(shared, sink):
    credential = {"credentialtype": "ACCESSTOKEN", "accesstoken": "a-token-for-row-36"}
    made = shared.subscribe(sink, id="mine", sinkcredential=credential)
    assert made["id"] != "mine"
    for shown in (made, shared.subscription(made)):
        assert shown["sinkcredential"] == {"credentialtype": "ACCESSTOKEN"}


FILTERS = {
    "exact": ([{"exact": {"subject": "ab"}}], True),
    "exact, another case": ([{"exact": {"subject": "AB"}}], False),
    "prefix": ([{"prefix": {"subject": "a"}}], True),
    "prefix of another": ([{"prefix": {"subject": "b"}}], False),
    "suffix": ([{"suffix": {"subject": "b"}}], True),
    "suffix of another": ([{"suffix": {"subject": "a"}}], False),
    "an extension": ([{"exact": {"comexample": "x"}}], True),
    "an attribute that is not there": ([{"exact": {"comother": "x"}}], False),
    "all": ([{"all": [{"prefix": {"subject": "a"}}, {"suffix": {"subject": "b"}}]}], True),
    "not all": ([{"all": [{"prefix": {"subject": "a"}}, {"suffix": {"subject": "c"}}]}], False),
    "any": ([{"any": [{"prefix": {"subject": "c"}}, {"suffix": {"subject": "b"}}]}], True),
    "none of any": ([{"any": [{"prefix": {"subject": "c"}}, {"suffix": {"subject": "c"}}]}], False),
    "not": ([{"not": {"exact": {"subject": "c"}}}], True),
    "not, and it is": ([{"not": {"exact": {"subject": "ab"}}}], False),
    "an array is AND": ([{"prefix": {"subject": "a"}}, {"exact": {"subject": "c"}}], False),
    "several in one are AND": ([{"exact": {"subject": "ab", "comexample": "y"}}], False),
    "empty": ([], True),
}


def test_row_37_filters_select_what_the_standard_says(shared, receiver, make_event, kind, until):
    sinks = {name: receiver.sink() for name in FILTERS}
    for name, (filters, _) in FILTERS.items():
        shared.subscribe(sinks[name], types=[kind], filters=filters)
    last = receiver.sink()
    shared.subscribe(last, types=[kind])
    (position,) = shared.publish(make_event(subject="ab", comexample="x"))
    expected = {name for name, (_, matches) in FILTERS.items() if matches}
    for name in expected:
        sinks[name].wait(1)
    last.wait(1)
    # Who does not match has no delivery of it: not one that is still to come.
    until(lambda: len(shared.deliveries(position)) >= len(expected) + 1)
    assert len(shared.deliveries(position)) == len(expected) + 1
    assert {name for name, one in sinks.items() if one.posts} == expected


@pytest.mark.parametrize("dialect", ["all", "any"])
def test_row_37_all_and_any_need_one_or_more(shared, sink, dialect):
    assert refused(shared, sink, filters=[{dialect: []}]) == [f"/filters/0/{dialect}"]
