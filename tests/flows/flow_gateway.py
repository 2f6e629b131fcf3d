"""A gateway as its users run it: `letta-gateway dev` as a process, and what a test asks of it."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import redis
from flow_receiver import WITHIN_S, Sink

TOKEN = "flows_token_of_sixteen"
STREAM = "letta.events"


class Gateway:
    """`letta-gateway dev` on one data directory, on one port once it has one."""

    def __init__(self, data_dir: Path, env: dict[str, str]) -> None:
        self.data_dir = data_dir
        self.env = env
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.program = ["-m", "gateway", "dev"]
        self.port = 0
        self.made: list[str] = []
        self.printed = ""
        self.said: dict[str, Any] = {}
        self.process: subprocess.Popen[str] | None = None
        self._client: httpx.Client | None = None

    def start(self) -> "Gateway":
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "LETTA_"))
        }
        command = [sys.executable, *self.program, "--json", "--port", str(self.port)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, "--data-dir", str(self.data_dir)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=kept | {"GATEWAY_API_TOKEN": TOKEN} | self.env,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()[-4000:]
        self.printed += line
        self.said = json.loads(line)
        self.port = int(self.said["url"].rsplit(":", 1)[1])
        self._client = httpx.Client(
            base_url=self.said["url"],
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=15,
            trust_env=False,
        )
        return self

    @property
    def client(self) -> httpx.Client:
        assert self._client is not None
        return self._client

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self) -> int:
        assert self.process is not None
        code = self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.printed += self.process.stdout.read()
        self.process.stdout.close()
        self.client.close()
        return code

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.ended()

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()

    def verify_log(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", "verify-log", "--data-dir", str(self.data_dir)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | self.env,
        )

    # What a user does.

    def subscribe(self, sink: Sink | str, **members: Any) -> dict[str, Any]:
        """Make a subscription; unless told otherwise, with quick retries."""
        config = {"retry": [0.1] * 20} | members.pop("config", {})
        url = sink if isinstance(sink, str) else sink.url
        answer = self.client.post("/v1/subscriptions", json={"sink": url, "config": config} | members)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        self.made.append(made["id"])
        return made

    def publish(self, *events: dict[str, Any]) -> list[int]:
        """Publish events in one batch, which is in log order; gives their positions."""
        answer = self.client.post(
            "/v1/events",
            content=json.dumps(list(events)),
            headers={"Content-Type": "application/cloudevents-batch+json"},
        )
        assert answer.status_code == 202, answer.text
        positions: list[int] = answer.json()["positions"]
        return positions

    def add(self, *events: dict[str, Any] | bytes) -> list[str]:
        """Put events into the stream, as the emitter does; gives the entries' ids."""
        with redis.Redis.from_url(self.said["redis_url"]) as client:
            return [
                client.xadd(
                    STREAM, {"event": event if isinstance(event, bytes) else json.dumps(event)}
                ).decode()
                for event in events
            ]

    def subscription(self, made: dict[str, Any], verb: str = "", body: object = None) -> dict[str, Any]:
        path = f"/v1/subscriptions/{made['id']}"
        answer = self.client.post(f"{path}/{verb}", json=body) if verb else self.client.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def deliveries(self, position: int) -> list[dict[str, Any]]:
        answer = self.client.get(f"/v1/events/{position}/deliveries")
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def settled(self, position: int, state: str, *, within_s: float = WITHIN_S) -> dict[str, Any]:
        """The one delivery of an event, once it has this state."""
        deadline = time.monotonic() + within_s
        while True:
            items = self.deliveries(position)
            if len(items) == 1 and items[0]["state"] == state:
                return items[0]
            assert time.monotonic() < deadline, f"not {state}: {json.dumps(items)[:2000]}"
            time.sleep(0.03)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What its SQLite file holds, as another program would read it."""
        found = sqlite3.connect(f"file:{self.data_dir / 'gateway.db'}?mode=ro", uri=True, timeout=10)
        with contextlib.closing(found) as connection:
            return connection.execute(statement, values).fetchall()

    def facts(self, kind: str, made: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """What it said in its log, the oldest first: of one subscription, or of all."""
        parameters = {"type": f"com.letta.gateway.{kind}", "order": "asc", "limit": 500}
        answer = self.client.get("/v1/events", params=parameters)
        assert answer.status_code == 200, answer.text
        facts = [item["event"] for item in answer.json()["items"]]
        return [fact for fact in facts if made is None or fact["subject"] == made["id"]]

    def forget(self) -> None:
        """Delete the subscriptions made so far."""
        while self.made:
            self.client.delete(f"/v1/subscriptions/{self.made.pop()}")

    def quarantine(self) -> dict[str, dict[str, Any]]:
        """What is in quarantine, by the id of the stream's entry."""
        answer = self.client.get("/v1/quarantine", params={"limit": 500})
        assert answer.status_code == 200, answer.text
        return {item["entry_id"]: item for item in answer.json()["items"]}

    def said_on_stderr(self) -> str:
        return self.log.read_text()
