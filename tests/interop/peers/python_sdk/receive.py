"""The Python SDK behind the standard library's HTTP server, by the lines of its README."""

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from cloudevents.core.bindings.http import HTTPMessage, from_http_event


def data_of(data: Any) -> dict[str, Any]:
    if data is None:
        return {}
    if isinstance(data, bytes):
        return {"base64": base64.b64encode(data).decode()}
    return {"json": data}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        try:
            event = from_http_event(HTTPMessage(headers=dict(self.headers.items()), body=body))
        except Exception as error:
            told: dict[str, Any] = {"error": f"{type(error).__name__}: {error}"}
        else:
            told = {
                "events": [{"attributes": dict(event.get_attributes()), "data": data_of(event.get_data())}]
            }
        print("SEEN", json.dumps(told, default=lambda moment: moment.isoformat()), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
