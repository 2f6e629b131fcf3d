"""From the emitter's Redis to a receiver: a Redis that can be ended, a gateway, and a subscriber of everything."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.processes import Child, free_port, wait_until
from harness.receiver import Receiver
from harness.site import valkey
from harness.told import PREFIX, History, Told
from schemas import SHORT_NAMES

STREAM = "letta.events"


class Pipe:
    """`emitter(folder)` gives the settings of an emitter that feeds it, `history()` what has come out of it."""

    def __init__(self, folder: Path, environment: Mapping[str, str] = {}) -> None:
        """`environment` is what else the gateway gets."""
        self.folder = folder
        self._environment = environment
        folder.mkdir(parents=True)
        self.redis = valkey(folder / "redis")
        self._token = secrets.token_urlsafe(24)
        self._url = f"http://127.0.0.1:{free_port()}"
        with contextlib.ExitStack() as closing:
            self.redis.start()
            closing.callback(self.redis.kill)
            self.receiver = closing.enter_context(Receiver())
            self._gateway = self._started()
            closing.callback(self._gateway.stop)
            self._gateway.wait_for(self._ready, "the gateway", timeout_s=30)
            # The first subscription begins with the log, so that nothing told before it is missed.
            self.subscribe("/", start="beginning")
            self._closing = closing.pop_all()

    def _started(self) -> Child:
        port = self._url.rpartition(":")[2]
        command = [
            sys.executable,
            "-m",
            "gateway",
            "dev",
            "--port",
            port,
            "--data-dir",
            self.folder / "gateway",
        ]
        environment = {
            **os.environ,
            "GATEWAY_API_TOKEN": self._token,
            "GATEWAY_REDIS_URL": self.redis.url,
            "GATEWAY_STREAM": STREAM,
            **self._environment,
        }
        return Child(command, log=self.folder / "gateway.log", environment=environment)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def subscribe(self, path: str, **config: Any) -> None:
        """Subscribe a path of the receiver to everything that Letta's agents do."""
        sink = {"sink": f"{self.receiver.url}{path}", "types": [PREFIX + name for name in SHORT_NAMES]}
        self._call("POST", "/v1/subscriptions", {**sink, "config": config})

    def attempts(self, trace_id: str) -> dict[str, dict[str, Any]]:
        """Every attempt of the events of a trace, by its span."""
        page = self._call("GET", f"/v1/events?limit=100&trace_id={trace_id}")
        deliveries = [
            delivery
            for item in page["items"]
            for delivery in self._call("GET", f"/v1/events/{item['position']}/deliveries")["items"]
        ]
        return {attempt["span_id"]: attempt for delivery in deliveries for attempt in delivery["attempts"]}

    def command(self, *arguments: str) -> str:
        """What a command says of this gateway."""
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "GATEWAY_URL": self._url, "GATEWAY_API_TOKEN": self._token},
        )
        return done.stdout

    def emitter(self, folder: Path) -> dict[str, str]:
        """The settings of an emitter that feeds this pipe and keeps its spool in a folder of its own."""
        return {
            "LETTA_EMITTER_ENABLED": "1",
            "LETTA_EMITTER_REDIS_URL": self.redis.url,
            "LETTA_EMITTER_STREAM": STREAM,
            "LETTA_EMITTER_SPOOL_DIR": str(folder),
        }

    def routes(self) -> dict[str, str]:
        """The settings of an emitter that puts this gateway's webhook routes on Letta's API."""
        return {"LETTA_EMITTER_GATEWAY_URL": self._url, "LETTA_EMITTER_GATEWAY_TOKEN": self._token}

    def stop_gateway(self) -> None:
        self._gateway.stop()

    def history(self) -> History:
        """What the receiver has got, repeats included."""
        return History(Told.from_binary(post.headers, post.body) for post in self.receiver.posts("/"))

    def log(self) -> list[str]:
        """The ids of all events in the gateway's log, in its order."""
        ids: list[str] = []
        query = "order=asc&limit=100"
        while True:
            page = self._call("GET", f"/v1/events?{query}")
            ids += [item["event"]["id"] for item in page["items"]]
            if page["next"] is None:
                return ids
            query = f"order=asc&limit=100&cursor={page['next']}"

    def wait_for(self, holds: Callable[[History], object], what: str, *, timeout_s: float = 60) -> History:
        """Wait until what arrived satisfies a condition, then until all that the log has by then arrived too."""
        wait_until(lambda: holds(self.history()), what, timeout_s=timeout_s, every_s=0.1)
        logged = set(self.log())
        wait_until(
            lambda: logged <= {event.id for event in self.history()},
            "the rest of the log",
            timeout_s=timeout_s,
        )
        return self.history()

    def close(self) -> None:
        self._closing.close()
