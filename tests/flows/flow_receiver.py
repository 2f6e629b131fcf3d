"""A receiver on a port of its own, with as many sinks as are asked for, and what each of them was sent."""

import contextlib
import http.server
import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

WITHIN_S = 20.0


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
