import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from schemas import Content, EnvelopeError, build, parse_structured

NAMED = {"id": "1", "source": "/s", "type": "t"}


@pytest.mark.parametrize(
    ("data", "declared", "content", "body"),
    [
        ({"a": [1, None, "ü"]}, None, Content.JSON, '{"a":[1,null,"ü"]}'.encode()),
        ("text", None, Content.JSON, b'"text"'),
        (0, None, Content.JSON, b"0"),
        (False, "application/json", Content.JSON, b"false"),
        (b'{"a" : 1}', "application/json", Content.JSON, b'{"a" : 1}'),
        (b"null", "application/json", Content.JSON, b"null"),
        ("text", "text/plain", Content.TEXT, b"text"),
        (b"text", "text/plain", Content.TEXT, b"text"),
        (b"\xff", "text/plain", Content.BINARY, b"\xff"),
        (b"x", None, Content.BINARY, b"x"),
        (None, None, Content.NONE, None),
    ],
)
def test_data_of_every_kind(data: Any, declared: str, content: Any, body: bytes) -> None:
    envelope = build(NAMED | {"datacontenttype": declared}, data)
    assert (envelope.content, envelope.body) == (content, body)
    again = parse_structured(envelope.raw)
    assert (again.attributes, again.body, again.content) == (envelope.attributes, body, content)
    if content is Content.JSON:
        assert envelope.attributes["datacontenttype"] == "application/json"
        assert envelope.data() == (json.loads(data) if isinstance(data, bytes) else data)


def test_times_are_written_in_utc() -> None:
    moment = datetime(2026, 1, 1, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    assert build(NAMED | {"time": moment}).time == "2026-01-01T10:00:00.000005Z"
    assert build(NAMED | {"time": datetime(2026, 1, 1, tzinfo=UTC)}).time == "2026-01-01T00:00:00Z"
    with pytest.raises(ValueError, match="offset"):
        build(NAMED | {"time": datetime(2026, 1, 1)})  # noqa: DTZ001  (the point of the test)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(EnvelopeError) as caught:
        build({"id": "", "Upper": "x", "ext": 1.5, "source": "a b", "specversion": "0.3"})
    pointers = {problem.pointer for problem in caught.value.problems}
    assert pointers == {"/id", "/Upper", "/ext", "/source", "/specversion", "/type"}


CYCLE: list[object] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "data",
    [
        float("nan"),
        {"a": float("inf")},
        object(),
        {1: 1, "1": 2},
        "\ud800",
        CYCLE,
        [[[{"a": {1, 2}}]]],
        b"{",
        b"\xff",
    ],
)
def test_data_that_json_cannot_hold_is_refused(data: Any) -> None:
    with pytest.raises(EnvelopeError) as caught:
        build(NAMED | {"datacontenttype": "application/json"}, data)
    assert [problem.pointer for problem in caught.value.problems] == ["/data"]


def test_data_too_deep_is_refused() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(EnvelopeError):
        build(NAMED, deep)


def test_objects_under_a_type_other_than_json_are_refused() -> None:
    with pytest.raises(EnvelopeError):
        build(NAMED | {"datacontenttype": "text/plain"}, {"a": 1})
    with pytest.raises(EnvelopeError):
        build(NAMED | {"datacontenttype": "text/plain"}, "\ud800")


def test_bytes_under_a_json_type_in_data_base64_are_decoded_or_refused() -> None:
    raw = build(NAMED).raw[:-1] + b',"datacontenttype":"application/json","data_base64":"%s"}'
    assert parse_structured(raw % b"eyJhIjoxfQ==").data() == {"a": 1}
    envelope = parse_structured(raw % b"AA==")
    with pytest.raises(EnvelopeError):
        envelope.data()
