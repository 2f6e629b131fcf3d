"""The HTTP client of the commands: a request, a page, a problem turned into an error."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from gateway.cli.endpoint import Connection, resolve
from gateway.cli.sse import ServerEvent, parse_events
from gateway.errors import AnswerError, FieldError, NoServer, NotNow

TIMEOUT_S = 15.0
SILENCE_S_MAX = 45.0
"""A stream that says nothing for so long is dead: the gateway says every 15 s that it is there."""

EVENT_BYTES_MAX = 64 * 1024 * 1024
PAGE_ITEMS_MAX = 100
_SAID_CHARS_MAX = 500
_NOT_NOW = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})

Json = dict[str, Any]


class Answered(dict[str, Any]):
    """An object of an answer. A member that every gateway sends, and that is not there, tells of another program."""

    def __init__(self, members: Json, stranger: Callable[[], AnswerError]) -> None:
        super().__init__(members)
        self._stranger = stranger

    def __missing__(self, name: str) -> object:
        raise self._stranger()

    def pop(self, name: str, *default: Any) -> Any:  # noqa: ANN401 - a JSON value
        """As of any dictionary, and as told above where there is no default."""
        return super().pop(name, *default) if name in self or default else self[name]


class GatewayClient:
    """Speaks to one gateway; a context manager.

    Args:
        connection: Address and token.
        transport: Another transport than the network's.
    """

    def __init__(self, connection: Connection, *, transport: httpx.BaseTransport | None = None) -> None:
        self.connection = connection
        headers = {"User-Agent": "letta-gateway-cli"}
        if connection.token:
            headers["Authorization"] = f"Bearer {connection.token}"
        self._http = httpx.Client(
            base_url=connection.url,
            headers=headers,
            timeout=TIMEOUT_S,
            transport=transport,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Json:
        """Send one request and return the JSON object of its answer, empty for 204.

        Args:
            method: The HTTP method.
            path: Below the gateway's address.
            body: Sent as JSON unless None.
            params: Query parameters; None values are left out, lists repeat.
            headers: Added to the client's own.
            timeout_s: How long to wait for the answer.

        Raises:
            NoServer: Nothing answers.
            AnswerError: The answer is a refusal, or not a gateway's.
        """
        answer = self.exchange(method, path, body=body, params=params, headers=headers, timeout_s=timeout_s)
        return self._decoded(answer)

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> httpx.Response:
        """The same with the answer as it is, for what stands in its status and headers. Raises as `request` does."""
        query = {name: value for name, value in (params or {}).items() if value is not None and value != []}
        content = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})} if content is not None else headers
        with self._answering(f"within {timeout_s:.0f} s"):
            answer = self._http.request(
                method, path, content=content, params=query, headers=sent, timeout=timeout_s
            )
        if answer.is_success:
            return answer
        raise self._refusal(answer)

    def versioned(self, path: str) -> tuple[Json, str]:
        """An object, and the ETag of the version that it is. Raises as `request` does."""
        answer = self.exchange("GET", path)
        return self._decoded(answer), answer.headers.get("ETag", "")

    def fetch(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, as they come. Raises as `request` does."""
        request = self._http.build_request("GET", path, timeout=httpx.Timeout(TIMEOUT_S, read=SILENCE_S_MAX))
        with self._answering():
            answer = self._http.send(request, stream=True)
        with contextlib.closing(answer):
            if not answer.is_success:
                with self._answering():
                    answer.read()
                raise self._refusal(answer)
            with self._answering():
                yield from answer.iter_raw()

    @contextlib.contextmanager
    def events(
        self, path: str, *, params: Mapping[str, Any], last_id: str
    ) -> Iterator[Iterator[ServerEvent]]:
        """Open a stream of server-sent events, behind `last_id` unless it is empty.

        Raises, also while it is read:
            NoServer: Nothing answers, or the stream broke off.
            NotNow: The gateway has no place for it now.
            AnswerError: The answer is a refusal, or not a gateway's.
        """
        query = {name: value for name, value in params.items() if value is not None and value != []}
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        timeout = httpx.Timeout(TIMEOUT_S, read=SILENCE_S_MAX)
        request = self._http.build_request("GET", path, params=query, headers=headers, timeout=timeout)
        with self._answering():
            answer = self._http.send(request, stream=True)
        with contextlib.closing(answer):
            if not answer.is_success:
                with self._answering():
                    answer.read()
                raise self._refusal(answer)
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise self._stranger()
            yield parse_events(self._chunks(answer), EVENT_BYTES_MAX)

    def _chunks(self, answer: httpx.Response) -> Iterator[bytes]:
        with self._answering():
            yield from answer.iter_bytes()

    @contextlib.contextmanager
    def _answering(self, bound: str = "in time") -> Iterator[None]:
        """Say that the gateway does not answer, where the network says something else."""
        try:
            yield
        except httpx.TransportError as error:
            raise NoServer(f"{self.connection.url} does not answer ({_reason(error, bound)}).") from error

    def items(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        limit: int | None = None,
        look: Callable[[Json], None] = lambda _page: None,
    ) -> Iterator[Json]:
        """Walk a list, page by page, up to `limit` items (all of them for None); `look` is shown each page."""
        left = limit
        cursor: str | None = None
        while left is None or left > 0:
            size = PAGE_ITEMS_MAX if left is None else min(left, PAGE_ITEMS_MAX)
            page = self.request("GET", path, params={**(params or {}), "limit": size, "cursor": cursor})
            found = page.get("items")
            if not isinstance(found, list):
                raise self._stranger()
            look(page)
            found = found[:size]
            yield from found
            left = None if left is None else left - len(found)
            cursor = page.get("next")
            if cursor is None:
                return

    def _decoded(self, answer: httpx.Response) -> Json:
        if not answer.content:
            return Answered({}, self._stranger)
        try:
            decoded = answer.json(object_hook=lambda members: Answered(members, self._stranger))
        except (ValueError, RecursionError):
            raise self._stranger() from None
        if not isinstance(decoded, dict):
            raise self._stranger()
        return decoded

    def _refusal(self, answer: httpx.Response) -> AnswerError:
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            return AnswerError(
                f"The gateway at {self.connection.url} does not know this token.",
                hint=f"It came from {self.connection.origin}.",
            )
        problem = _problem(answer)
        if problem is None:
            return AnswerError(
                f"{answer.request.method} {answer.request.url.path} was answered with {answer.status_code}.",
                hint=f"Is {self.connection.url} a letta-gateway?",
            )
        said = str(problem.get("detail") or problem.get("title") or f"status {answer.status_code}")
        members = problem.get("errors")
        return (NotNow if answer.status_code in _NOT_NOW else AnswerError)(
            said[:_SAID_CHARS_MAX],
            hint=self._of_path(answer.status_code),
            fields=[
                FieldError(str(member.get("pointer", "")), str(member.get("detail", "")))
                for member in (members if isinstance(members, list) else [])
                if isinstance(member, dict)
            ],
        )

    def _of_path(self, status: int) -> str | None:
        """What else may be wrong where nothing is found: an address that was copied with a path."""
        parts = urlsplit(self.connection.url)
        if status != httpx.codes.NOT_FOUND or not parts.path:
            return None
        return (
            f"GATEWAY_URL names the path {parts.path}: unless a proxy serves the gateway there, it should be "
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}."
        )

    def _stranger(self) -> AnswerError:
        return AnswerError(f"What answers at {self.connection.url} is not a letta-gateway.")


def connect(data_dir: Path | None, *, token_needed: bool = True) -> GatewayClient:
    """A client for the gateway that the environment or the data directory names.

    Without a token where none is needed and none is named. Raises as `resolve` does.
    """
    return GatewayClient(resolve(data_dir, token_needed=token_needed))


def _problem(answer: httpx.Response) -> Json | None:
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return None
    try:
        decoded = answer.json()
    except ValueError:
        return None
    return decoded if isinstance(decoded, dict) else None


def _reason(error: httpx.TransportError, bound: str) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"no answer {bound}"
    return str(error) or type(error).__name__
