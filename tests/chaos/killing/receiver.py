"""The receiver of every stream, one path each: verifies, answers by its mood, and notes each POST."""

import contextlib
import hashlib
import http.client
import http.server
import json
import random
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from killing.moods import Mood, reply
from schemas.signatures import BadSignature, verify_letta, verify_v1

SURE_S = 0.3
"""Well below the shortest timeout of a stream."""


@dataclass
class Post:
    """One POST, as it was met, in a life of the sender's. Times are seconds since the Unix epoch.

    `answered` is when its answer had been handed over, or could not be; None while it has none.
    """

    stream: str
    webhook_id: str
    span: str
    events: tuple[tuple[str, str], ...]
    at: float
    digest: bytes
    replay: bool
    life: int
    status: int = 0
    answered: float | None = None
    awaited: bool = True
    """Whether the sender was still there when it had been answered: not one that was killed, or had given up."""
    secret: int = 0
    """The newest secret that it is signed with, by its number in the stream's list."""

    @property
    def taken(self) -> bool:
        """Whether the sender must have heard that it was taken: not where it may have given up waiting.

        A POST may be read long after it was sent, so that it was answered soon does not say it alone.
        """
        soon = self.answered is not None and self.answered - self.at < SURE_S
        return self.status == 200 and soon and self.awaited


class Peer(NamedTuple):
    host: str
    port: int
    life: int


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 4096  # none may wait outside of it: see `expect`
    life = 0

    def get_request(self) -> tuple[socket.socket, Peer]:
        connection, (host, port) = super().get_request()
        return connection, Peer(host, port, self.life)

    def handle_error(self, *_arguments: object) -> None:
        """Connections that end in the middle are what this is about."""


@dataclass
class Receiver:
    dice: random.Random
    posts: list[Post] = field(default_factory=list)
    secrets: dict[str, list[str]] = field(default_factory=dict)
    """Of each stream, the oldest first: the sender may use any of them while a rotation is under way."""
    moods: dict[str, Mood] = field(default_factory=dict)
    unsigned: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    server: Server | None = None

    def start(self) -> None:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.meet(self, body)

            def do_GET(self) -> None:
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def expect(self, life: int) -> None:
        """Take what connects from now on for this life of the sender's; called before that begins.

        A POST may be read long after its sender was killed, so the time of reading cannot say who sent it. The
        connection can: they are taken in their order, and when one made here is answered, all before it were taken.
        """
        assert self.server is not None
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=60)
        connection.request("GET", "/")
        assert connection.getresponse().status == 204
        connection.close()
        self.server.life = life

    def url(self, stream: str) -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.server_port}/{stream}"

    def meet(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        post = _post(request, body)
        problem = self._problem(request, body, post)
        with self.lock:
            self.posts.append(post)
            if problem:
                self.unsigned.append(f"{post.stream} {post.webhook_id}: {problem}")
            answer = reply(self.moods.get(post.stream, Mood.WELL), self.dice, len(post.events))
            if answer.status == 410:
                self.moods[post.stream] = Mood.WELL
        if answer.after_s:
            time.sleep(answer.after_s)
        post.status = answer.status
        with contextlib.suppress(OSError):
            request.send_response(answer.status)
            if answer.retry_after_s is not None:
                request.send_header("Retry-After", str(answer.retry_after_s))
            request.send_header("Content-Length", "0")
            request.end_headers()
        post.answered, post.awaited = time.time(), _is_there(request.connection)

    def be_well(self) -> None:
        with self.lock:
            self.moods.clear()

    def seen(self) -> list[Post]:
        with self.lock:
            return list(self.posts)

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()

    def _problem(self, request: http.server.BaseHTTPRequestHandler, body: bytes, post: Post) -> str:
        problem, secrets = "there is no secret for it", self.secrets.get(post.stream, [])
        for number, secret in reversed(list(enumerate(secrets))):
            try:
                verify_v1(
                    secret,
                    id=request.headers["webhook-id"],
                    timestamp=request.headers["webhook-timestamp"],
                    signature=request.headers["webhook-signature"],
                    body=body,
                    now_s=time.time(),
                )
            except BadSignature as bad:
                problem = str(bad)
            else:
                post.secret = number
                return self._letta_problem(request, body, post.stream)
        return problem

    def _letta_problem(self, request: http.server.BaseHTTPRequestHandler, body: bytes, stream: str) -> str:
        signature, problem = request.headers["X-Letta-Signature"], "no secret made X-Letta-Signature"
        for secret in self.secrets[stream]:
            with contextlib.suppress(BadSignature):
                verify_letta(secret, signature=signature, body=body)
                problem = ""
        return problem


def _is_there(connection: socket.socket) -> bool:
    """Whether the other side has not closed it, as far as that has come here."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _post(request: http.server.BaseHTTPRequestHandler, body: bytes) -> Post:
    headers = request.headers
    if "ce-id" in headers:
        events = [(headers["ce-source"], headers["ce-id"])]
    else:
        found = json.loads(body)
        events = [(item["source"], item["id"]) for item in (found if isinstance(found, list) else [found])]
    return Post(
        stream=request.path.strip("/"),
        webhook_id=headers["webhook-id"],
        span=headers["traceparent"].split("-")[2],
        events=tuple(events),
        at=time.time(),
        digest=hashlib.sha256(body).digest(),
        replay="X-Letta-Replay" in headers,
        life=request.client_address.life,
    )
