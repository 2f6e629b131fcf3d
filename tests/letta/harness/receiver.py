"""An HTTP receiver that keeps what it gets, by path; every path answers 200 unless it is told to refuse."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HELD_S = 30


@dataclass(frozen=True)
class Post:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """`with Receiver() as receiver: receiver.url`."""

    def __init__(self) -> None:
        self._posts: list[Post] = []
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._refusals: dict[str, int] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
                """Say nothing."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                receiver._keep(Post(self.path, dict(self.headers), body))
                receiver._open.wait(HELD_S)
                self.send_response(receiver._status(self.path))
                self.send_header("Content-Length", "0")
                self.end_headers()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def _keep(self, post: Post) -> None:
        with self._lock:
            self._posts.append(post)

    def refuse(self, path: str, times: int) -> None:
        """Answer 503 to the next requests at a path."""
        with self._lock:
            self._refusals[path] = times

    def _status(self, path: str) -> int:
        with self._lock:
            left = self._refusals.get(path, 0)
            self._refusals[path] = max(0, left - 1)
            return 503 if left else 200

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Take requests, but answer them only afterwards (or after `HELD_S` seconds)."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def posts(self, path: str) -> list[Post]:
        """What has come to this path so far."""
        with self._lock:
            return [post for post in self._posts if post.path == path]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)
