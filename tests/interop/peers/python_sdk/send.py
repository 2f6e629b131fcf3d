"""Publishes with the Python SDK: URL and token as arguments, on standard input a list of {mode, events, headers?}.

On standard output are the answers, {status, body} each. The SDK has no batch: its JSON format writes each event.
"""

import json
import sys
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent


def event_of(event: dict[str, Any]) -> CloudEvent:
    attributes = {name: value for name, value in event.items() if name != "data"}
    if "time" in attributes:
        attributes["time"] = datetime.fromisoformat(attributes["time"])
    return CloudEvent(attributes=attributes, data=event.get("data"))


def message_of(mode: str, events: list[dict[str, Any]]) -> HTTPMessage:
    made = [event_of(event) for event in events]
    if mode == "batch":
        body = b"[" + b",".join(JSONFormat().write(event) for event in made) + b"]"
        return HTTPMessage({"content-type": "application/cloudevents-batch+json"}, body)
    return to_binary_event(made[0]) if mode == "binary" else to_structured_event(made[0])


def send(url: str, token: str, asked: dict[str, Any]) -> dict[str, Any]:
    message = message_of(asked["mode"], asked["events"])
    headers = {**message.headers, **asked.get("headers", {}), "authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, data=message.body, headers=headers, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request) as answer:
            return {"status": answer.status, "body": json.load(answer)}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "body": json.load(error)}


if __name__ == "__main__":
    found = [send(sys.argv[1], sys.argv[2], asked) for asked in json.load(sys.stdin)]
    print(json.dumps(found))
