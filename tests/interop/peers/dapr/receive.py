"""A topic's handler of dapr-ext-fastapi, without a sidecar: the gateway posts where the sidecar would.

A sidecar posts structured events, which the extension hands to the handler as one JSON object. It has no parser of
binary mode; the handler takes those attributes from the headers, as FastAPI gives them.
"""

import base64
import json
import sys
from typing import Any
from urllib.parse import unquote

import uvicorn
from dapr.ext.fastapi import DaprApp
from fastapi import FastAPI, Request

app = FastAPI()
dapr = DaprApp(app)


@dapr.subscribe(pubsub="letta", topic="events", route="/")
async def receive(request: Request) -> dict[str, str]:
    content_type = request.headers["content-type"]
    if content_type.startswith("application/cloudevents"):
        event = await request.json()
        data = {"json": event.pop("data")} if "data" in event else {}
        if (encoded := event.pop("data_base64", None)) is not None:
            data = {"base64": encoded}
        told(event, data)
        return {"status": "SUCCESS"}
    named = request.headers.items()
    event = {name.removeprefix("ce-"): unquote(value) for name, value in named if name.startswith("ce-")}
    if content_type == "application/json":
        data = {"json": await request.json()}
    else:
        data = {"base64": base64.b64encode(await request.body()).decode()}
    told(event | {"datacontenttype": content_type}, data)
    return {"status": "SUCCESS"}


def told(attributes: dict[str, Any], data: dict[str, Any]) -> None:
    print("SEEN", json.dumps({"events": [{"attributes": attributes, "data": data}]}), flush=True)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
