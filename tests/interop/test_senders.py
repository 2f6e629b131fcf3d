"""The official SDKs and curl publish in every mode, and get the right answers (CONFORMANCE 3, 10, 16, 28)."""

import itertools
import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from flow_fixtures import TOKEN
from peering.environments import PEERS, node_folder, python_of

pytestmark = pytest.mark.interop

MODES = ("binary", "structured", "batch")
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
NUMBERS = itertools.count(1)

Asked = dict[str, Any]
Answer = dict[str, Any]
Send = Callable[[str, list[Asked]], list[Answer]]


def _program(command: list[str], url: str, asked: list[Asked]) -> list[Answer]:
    done = subprocess.run(
        [*command, url, TOKEN], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers: list[Answer] = json.loads(done.stdout)
    return answers


def by_npm(url: str, asked: list[Asked]) -> list[Answer]:
    return _program(["node", str(node_folder() / "send.cjs")], url, asked)


def by_python_sdk(url: str, asked: list[Asked]) -> list[Answer]:
    return _program([str(python_of("python_sdk")), str(PEERS / "python_sdk" / "send.py")], url, asked)


def by_curl(url: str, asked: list[Asked]) -> list[Answer]:
    return [_curl(url, **it) for it in asked]


def _curl(url: str, mode: str, events: list[dict[str, Any]], headers: dict[str, str] | None = None) -> Answer:
    if mode == "binary":
        (event,) = events
        body = json.dumps(event["data"])
        names = {
            f"ce-{name}": value for name, value in event.items() if name not in {"data", "datacontenttype"}
        }
        own = names | {"content-type": event["datacontenttype"]}
    elif mode == "structured":
        body, own = json.dumps(events[0]), {"content-type": STRUCTURED}
    else:
        body, own = json.dumps(events), {"content-type": BATCH}
    lines = own | (headers or {}) | {"authorization": f"Bearer {TOKEN}"}
    options = [word for name, value in lines.items() for word in ("-H", f"{name}: {value}")]
    done = subprocess.run(
        ["curl", "--silent", "--noproxy", "*", "-w", "\n%{http_code}", *options, "--data-binary", "@-", url],
        input=body,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text, _, status = done.stdout.rpartition("\n")
    return {"status": int(status), "body": json.loads(text)}


SENDERS: dict[str, Send] = {"npm": by_npm, "python-sdk": by_python_sdk, "curl": by_curl}


def event(**attributes: Any) -> dict[str, Any]:
    number = next(NUMBERS)
    return {
        "specversion": "1.0",
        "id": f"sent-{number}",
        "source": "/interop/senders",
        "type": "org.example.sent",
        "subject": "a subject",
        "time": "2026-01-01T12:00:00.123Z",
        "tenant": "blue",
        "datacontenttype": "application/json",
        "data": {"text": "Grüße 😀", "n": number},
    } | attributes


def asked(mode: str, *events: dict[str, Any], **headers: str) -> Asked:
    return {
        "mode": mode,
        "events": list(events),
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
    }


def same(stored: dict[str, Any], sent: dict[str, Any]) -> bool:
    # Python's SDK writes the time with all six digits or none, the others with three.
    moments = {stored["time"].rstrip("Z").rstrip("0"), sent["time"].rstrip("Z").rstrip("0")}
    return len(moments) == 1 and stored | {"time": ""} == sent | {"time": ""}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SENDERS)
def test_what_a_sender_publishes_is_taken_as_it_is(name: str, mode: str, shared: Any) -> None:
    events = [event() for _ in range(3 if mode == "batch" else 1)]
    url = f"{shared.said['url']}/v1/events"
    first, second = SENDERS[name](url, [asked(mode, *events), asked(mode, *events)])
    assert first["status"] == 202, first
    positions = first["body"]["positions"]
    assert first["body"] == {"accepted": len(events), "duplicates": 0, "positions": positions}
    # The pair of source and id says that it is the same event.
    assert second == {
        "status": 202,
        "body": {"accepted": 0, "duplicates": len(events), "positions": positions},
    }
    for position, sent in zip(positions, events, strict=True):
        stored = shared.client.get(f"/v1/events/{position}").json()["event"]
        assert same(stored, sent), stored


WRONG_FORMAT = {"binary": STRUCTURED, "structured": BATCH, "batch": STRUCTURED}
UNKNOWN_FORMAT = {
    "binary": "application/cloudevents+avro",
    "structured": "application/cloudevents+avro",
    "batch": "application/cloudevents-batch+avro",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SENDERS)
def test_what_is_wrong_is_answered_with_what_is_wrong(
    name: str, mode: str, shared: Any, make_letta_event: Callable[..., dict[str, Any]]
) -> None:
    broken = make_letta_event()
    del broken["data"]["data"]["status"]
    url = f"{shared.said['url']}/v1/events"
    wrong = {
        400: asked(mode, event(), content_type=WRONG_FORMAT[mode]),
        415: asked(mode, event(), content_type=UNKNOWN_FORMAT[mode]),
        413: asked(mode, event(data={"text": "a" * 70_000})),
        422: asked(mode, broken),
    }
    answers = SENDERS[name](url, list(wrong.values()))
    assert [answer["status"] for answer in answers] == list(wrong), answers
    for status, answer in zip(wrong, answers, strict=True):
        assert answer["body"]["status"] == status
        assert answer["body"]["type"]
        assert answer["body"]["detail"]
