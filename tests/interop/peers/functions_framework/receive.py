"""A function of Google's functions-framework; the framework itself is the process that is started."""

import base64
import json
from typing import Any

import functions_framework
from cloudevents.http import CloudEvent


def data_of(data: Any) -> dict[str, Any]:
    if data is None:
        return {}
    if isinstance(data, bytes):
        return {"base64": base64.b64encode(data).decode()}
    return {"json": data}


@functions_framework.cloud_event
def receive(event: CloudEvent) -> None:
    attributes = {name: value for name, value in event.get_attributes().items() if value is not None}
    told = {"events": [{"attributes": attributes, "data": data_of(event.get_data())}]}
    print("SEEN", json.dumps(told), flush=True)
