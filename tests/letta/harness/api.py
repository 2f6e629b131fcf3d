"""Letta's REST API, as the driver of the tests uses it: the standard library and nothing else."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from harness.processes import wait_until

# `/messages` streams only to a caller that looks like an SDK of this version or later.
SDK = {"X-Stainless-Package-Version": "1.7.12", "User-Agent": "letta-client/1.7.12"}
PAGE = 1000


@dataclass(frozen=True)
class Answer:
    """Status and body of one answer; `json` parses it."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    def ok(self) -> Any:
        """The parsed body of a success; anything else is an assertion with the server's own words."""
        assert 200 <= self.status < 300, f"{self.status}: {self.text[:2000]}"
        return json.loads(self.text) if self.text else None


class Letta:
    """A client of one server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] = {},
        timeout_s: float = 60,
    ) -> Answer:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode())

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", f"{path}?{urlencode(query)}" if query else path).ok()

    def everything(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Every item of a list; more than one page can hold is an error of the test."""
        items: list[dict[str, Any]] = self.get(path, limit=PAGE, **query)
        assert len(items) < PAGE, f"more than {PAGE} items at {path}"
        return items

    def agent_body(self, name: str, **more: Any) -> dict[str, Any]:
        """What makes an agent; without `agent_type` it is of Letta's default type."""
        blocks = [
            {"label": "human", "value": "A tester."},
            {"label": "persona", "value": "An agent under test."},
        ]
        body = {
            "name": name,
            "model": "openai-proxy/gpt-4o-mini",
            "embedding": "openai/text-embedding-3-small",
            "memory_blocks": blocks,
        }
        return {**body, **more}

    def agent(self, name: str, **more: Any) -> dict[str, Any]:
        """Create an agent."""
        created: dict[str, Any] = self.call("POST", "/v1/agents/", self.agent_body(name, **more)).ok()
        return created

    def tool(self, source: str) -> dict[str, Any]:
        made: dict[str, Any] = self.call(
            "PUT", "/v1/tools/", {"source_code": source, "source_type": "python"}
        ).ok()
        return made

    def attach(self, agent: str, tool: str) -> Answer:
        return self.call("PATCH", f"/v1/agents/{agent}/tools/attach/{tool}")

    def detach(self, agent: str, tool: str) -> Answer:
        return self.call("PATCH", f"/v1/agents/{agent}/tools/detach/{tool}")

    def say(self, agent: str, text: str, **more: Any) -> Answer:
        """A blocking message."""
        return self.call("POST", f"/v1/agents/{agent}/messages", {"messages": [_user(text)], **more})

    def stream(self, agent: str, text: str, **more: Any) -> Answer:
        """A foreground stream, read to its end."""
        return self.call("POST", f"/v1/agents/{agent}/messages/stream", {"messages": [_user(text)], **more})

    def background_stream(self, agent: str, text: str, **more: Any) -> Answer:
        """A stream whose run goes on without its reader, read to its end."""
        body = {"messages": [_user(text)], "streaming": True, "background": True, **more}
        return self.call("POST", f"/v1/agents/{agent}/messages", body, headers=SDK)

    def start(self, agent: str, text: str, **more: Any) -> Answer:
        """A run in the background; the answer is the run."""
        return self.call("POST", f"/v1/agents/{agent}/messages/async", {"messages": [_user(text)], **more})

    def ended(self, path: str) -> bool:
        """Whether a run or a job is over."""
        return self.get(path)["status"] in {"completed", "failed", "cancelled", "expired"}

    def run(self, agent: str, text: str, *, timeout_s: float = 60, **more: Any) -> Answer:
        """A run in the background, waited for; the answer is the run as it ended."""
        path = f"/v1/runs/{self.start(agent, text, **more).ok()['id']}"
        wait_until(lambda: self.ended(path), f"the end of {path}", timeout_s=timeout_s)
        return self.call("GET", path)

    def batch(self, agent: str, text: str, **more: Any) -> Answer:
        """A batch of one message to one agent; the answer is the job."""
        body = {"requests": [{"agent_id": agent, "messages": [_user(text)]}], **more}
        return self.call("POST", "/v1/messages/batches", body)


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
