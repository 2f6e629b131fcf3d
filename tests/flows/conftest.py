"""The gateway as its users see it: a process, a Redis, a receiver, and what goes over the wire between them.

Tests that need nothing of their own share one gateway; each has sinks, event types and sources of its own there.
"""

import contextlib
import http.server
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

TOKEN = "flows_token_of_sixteen"
STREAM = "letta.events"
WITHIN_S = 20.0


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Wait for a condition; gives what it became, or fails with what it was."""

    def wait(condition: Callable[[], Any], *, within_s: float = WITHIN_S) -> Any:
        deadline = time.monotonic() + within_s
        while not (found := condition()):
            assert time.monotonic() < deadline, f"it did not come true in {within_s:g} s: {found!r}"
            time.sleep(0.02)
        return found

    return wait


@dataclass(frozen=True)
class Posted:
    """One request as it came over the wire; header names in lower case, in order, as sent."""

    method: str
    pairs: list[tuple[str, str]]
    body: bytes
    at: float

    @property
    def headers(self) -> dict[str, str]:
        assert len({name for name, _ in self.pairs}) == len(self.pairs), "a header was sent twice"
        return dict(self.pairs)

    @property
    def event_id(self) -> str:
        return self.headers.get("ce-id") or str(json.loads(self.body)["id"])

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    # Held back until this is set, or the connection's end.
    hold: threading.Event | None = None
    # The connection ends without an answer.
    close: bool = False


@dataclass
class Sink:
    """One path of the receiver, with the answers it is to give: a queue of them, then by `rule`, or `always`."""

    url: str
    always: Reply = field(default_factory=Reply)
    queue: deque[Reply] = field(default_factory=deque)
    rule: Callable[[Posted], Reply | None] | None = None
    posts: list[Posted] = field(default_factory=list)
    # What was asked with OPTIONS, and how that is answered.
    questions: list[Posted] = field(default_factory=list)
    consent: Callable[[Posted], Reply] = field(default=lambda _question: Reply(405))

    def reply(self, *statuses: int) -> "Sink":
        self.queue.extend(Reply(status) for status in statuses)
        return self

    def reply_with(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> "Sink":
        self.queue.append(Reply(status, headers or {}, body))
        return self

    def reply_later(self, status: int = 200) -> threading.Event:
        hold = threading.Event()
        self.queue.append(Reply(status, hold=hold))
        return hold

    def reply_always(self, status: int, headers: dict[str, str] | None = None) -> "Sink":
        self.always = Reply(status, headers or {})
        return self

    def reply_by(self, rule: Callable[[Posted], Reply | None]) -> "Sink":
        """Answer each POST as its rule says; where it says nothing, as always."""
        self.rule = rule
        return self

    def reply_to(self, post: Posted) -> Reply:
        with contextlib.suppress(IndexError):
            return self.queue.popleft()
        ruled = None if self.rule is None else self.rule(post)
        return self.always if ruled is None else ruled

    @property
    def ids(self) -> list[str]:
        return [post.event_id for post in list(self.posts)]

    def wait(self, count: int, *, within_s: float = WITHIN_S) -> list[Posted]:
        deadline = time.monotonic() + within_s
        while len(self.posts) < count:
            assert time.monotonic() < deadline, f"{len(self.posts)} of {count} posts came: {self.ids[-20:]}"
            time.sleep(0.01)
        return list(self.posts)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_arguments: object) -> None:
        """Connections that end in the middle belong to what is tested."""


class Receiver:
    """A receiver with as many sinks as are asked for."""

    def __init__(self) -> None:
        self.sinks: dict[str, Sink] = {}
        self._numbers = itertools.count(1)
        self._ending = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def sink(self) -> Sink:
        path = f"/sink-{next(self._numbers)}"
        self.sinks[path] = Sink(f"http://127.0.0.1:{self.port}{path}")
        return self.sinks[path]

    def stop(self) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                sink = receiver.sinks[self.path]
                pairs = [(name.lower(), value) for name, value in self.headers.items()]
                post = Posted(self.command, pairs, body, time.time())
                sink.posts.append(post)
                reply = sink.reply_to(post)
                while reply.hold is not None and not reply.hold.wait(0.05) and not receiver._ending.is_set():
                    pass
                if reply.close:
                    self.close_connection = True
                    return
                with contextlib.suppress(OSError):
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(reply.body)))
                    self.end_headers()
                    self.wfile.write(reply.body)

            def do_OPTIONS(self) -> None:
                sink = receiver.sinks[self.path]
                pairs = [(name.lower(), value) for name, value in self.headers.items()]
                question = Posted(self.command, pairs, b"", time.time())
                sink.questions.append(question)
                reply = sink.consent(question)
                with contextlib.suppress(OSError):
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def do_GET(self) -> None:
                # Nothing of ours ever sends one; a redirection that is followed would.
                self.do_POST()

            def log_message(self, *_arguments: object) -> None:
                pass

        return Handler


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def reply() -> type[Reply]:
    """An answer, for the rules of a sink."""
    return Reply


@pytest.fixture
def sink(receiver: Receiver) -> Sink:
    return receiver.sink()


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


@pytest.fixture(scope="session")
def shared_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway with its embedded Redis for all tests that neither stop nor starve it."""
    gateway = Gateway(
        tmp_path_factory.mktemp("shared") / "data", {"GATEWAY_EVENT_BYTES_MAX": "65536"}
    ).start()
    yield gateway
    code = gateway.stop()
    assert code == 0, gateway.said_on_stderr()[-4000:]
    assert "Traceback" not in gateway.said_on_stderr(), gateway.said_on_stderr()[-8000:]


@pytest.fixture
def shared(shared_process: Gateway) -> Iterator[Gateway]:
    """The gateway that tests share; the subscriptions that a test made go with it."""
    yield shared_process
    shared_process.forget()


@pytest.fixture(scope="session")
def asking_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One that sinks know by a name, for handshakes."""
    env = {"GATEWAY_WEBHOOK_ORIGIN": "hooks.example.org"}
    gateway = Gateway(tmp_path_factory.mktemp("asking") / "data", env).start()
    yield gateway
    assert gateway.stop() == 0, gateway.said_on_stderr()[-4000:]
    assert "Traceback" not in gateway.said_on_stderr(), gateway.said_on_stderr()[-8000:]


@pytest.fixture
def asking(asking_process: Gateway) -> Iterator[Gateway]:
    """That one; the subscriptions that a test made go with it."""
    yield asking_process
    asking_process.forget()


@pytest.fixture(scope="session")
def restartable_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Another one, which tests may end and start again."""
    gateway = Gateway(tmp_path_factory.mktemp("restartable") / "data", {}).start()
    yield gateway
    gateway.end()
    verified = gateway.verify_log()
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "Traceback" not in gateway.said_on_stderr(), gateway.said_on_stderr()[-8000:]


@pytest.fixture
def restartable(restartable_process: Gateway) -> Iterator[Gateway]:
    """That one, running, and running again after the test."""
    yield restartable_process
    assert restartable_process.process is not None
    if restartable_process.process.poll() is not None:
        restartable_process.start()
    restartable_process.forget()


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Gateways of a test's own; whatever still runs is ended."""
    made: list[Gateway] = []

    def make(**env: str) -> Gateway:
        made.append(Gateway(tmp_path / f"gateway-{len(made)}", env))
        return made[-1]

    yield make
    for gateway in made:
        gateway.end()


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def kind(numbers: Iterator[int]) -> str:
    """An event type of this test's own, so that tests on one gateway do not meet."""
    return f"flow.case{next(numbers)}"


@pytest.fixture
def make_event(kind: str, numbers: Iterator[int]) -> Callable[..., dict[str, Any]]:
    """A foreign event, of this test's type unless told otherwise; None leaves an attribute out."""

    def make(**attributes: Any) -> dict[str, Any]:
        event = {
            "specversion": "1.0",
            "id": f"e{next(numbers)}",
            "source": f"/flows/{kind}",
            "type": kind,
            "datacontenttype": "application/json",
            "data": {"n": next(numbers)},
        }
        return {name: value for name, value in (event | attributes).items() if value is not None}

    return make


@pytest.fixture
def make_letta_event(numbers: Iterator[int]) -> Callable[..., dict[str, Any]]:
    """An event as the emitter makes it, which keeps its contract."""

    def make(agent: str = "agent-1", organization: str = "org-1", **attributes: Any) -> dict[str, Any]:
        number = next(numbers)
        event_id = f"evt_{number}"
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": f"https://letta/organizations/{organization}/agents/{agent}",
            "type": "com.letta.agent.step.completed",
            "subject": f"step-{number}",
            "time": "2026-01-01T12:00:00Z",
            "datacontenttype": "application/json",
            "partitionkey": agent,
            "sequence": f"{number:020d}",
            "data": {
                "event_id": event_id,
                "event_type": "agent.step.completed",
                "timestamp": "2026-01-01T12:00:00Z",
                "agent_id": agent,
                "organization_id": organization,
                "data": {"step_id": f"step-{number}", "status": "completed", "usage": {}},
            },
        }
        return {name: value for name, value in (event | attributes).items() if value is not None}

    return make
