"""Reads the answers of one connection, one after another, within bounds. No input or output of its own."""

import httptools

from gateway.adapters.http.body import BodyPrefix, coding_of
from gateway.adapters.http.limits import Limits
from gateway.domain.sending import Answer, SendError, SendErrorKind

_INFORMATIONAL_END = 200
_SWITCHING_PROTOCOLS = 101


class AnswerReader:
    """The final answer to the request that ``begin`` announced.

    An answer counts from the end of its header block on: whatever happens to its body later, the sink has
    given its status, and to send the event again would only repeat it.

    Attributes:
        status: The final status, 0 while there is none.
        done: The answer is over, by its own end or by a cut.
        received: Bytes since ``begin``.
        keep_alive: The sink lets the connection be used again.
        dirty: The connection's bytes no longer match requests to answers: it must not be used again.
    """

    __slots__ = (
        *("_body", "_bodiless", "_capture", "_head_max", "_headers", "_parser", "_read_max", "_switched"),
        *("_versioned", "dirty", "done", "keep_alive", "received", "status"),
    )

    def __init__(self, limits: Limits) -> None:
        self._head_max = limits.head_bytes_max
        self._read_max = limits.head_bytes_max + limits.read_bytes_max
        self._versioned = False
        self._switched = False
        self.dirty = False
        self.begin(capture_bytes=0)
        self._parser = httptools.HttpResponseParser(self)

    def begin(self, *, capture_bytes: int, bodiless: bool = False) -> None:
        """Expect the answer to a new request; ``bodiless`` for HEAD, whose answer has no body."""
        self.status = 0
        self.done = False
        self.received = 0
        self.keep_alive = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: BodyPrefix | None = None
        self._capture = capture_bytes
        self._bodiless = bodiless

    def feed(self, data: bytes) -> bool:
        """Take what arrived and say whether the answer is over.

        Raises:
            SendError: There will be no status: ``PROTOCOL`` or ``TOO_LARGE``.
        """
        self.received += len(data)
        over = self.received - self._head_max
        if over > 0 and not self.status:
            if not self._parse(data[:-over]):
                raise SendError(SendErrorKind.TOO_LARGE, "the headers of the answer are too large")
            data = data[-over:]
        self._parse(data)
        if self.received > self._read_max and not self.done:
            self.cut()
        return self.done

    def cut(self) -> None:
        """End the answer here, with the status it has, and the connection with it."""
        if not self.done:
            self.done = self.dirty = True
            self._prefix().truncated = True

    def end(self) -> bool:
        """The sink closed the connection. Says whether there is an answer."""
        if self.status and not self.done:
            if self._is_delimited():
                self.cut()
            self.done = self.dirty = True
        return self.done

    def answer(self, duration_s: float) -> Answer:
        """The answer, once done."""
        prefix = self._body
        body = b"" if prefix is None else prefix.finish()
        headers = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._headers])
        return Answer(self.status, headers, body, prefix is not None and prefix.truncated, duration_s)

    def on_message_begin(self) -> None:
        """Called by the parser: a second answer behind the first was never asked for."""
        if self.done:
            self.dirty = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser: trailers are not kept."""
        if not self.status:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        if self.done:
            return
        status = self._parser.get_status_code()
        if status == _SWITCHING_PROTOCOLS:
            self._switched = True
        if status < _INFORMATIONAL_END:
            return
        self.status = status
        self.keep_alive = self._parser.should_keep_alive()
        if self._bodiless:
            self.done = self.dirty = True

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        if not self.done:
            self._prefix().feed(data)

    def on_message_complete(self) -> None:
        """Called by the parser, after each 1xx as well."""
        if self.status:
            self.done = True
        else:
            self._headers.clear()

    def _parse(self, data: bytes) -> bool:
        """Run the parser; says whether there is a status now."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._switched = True
        except httptools.HttpParserError as error:
            self.dirty = True
            if not self.status:
                raise SendError(SendErrorKind.PROTOCOL, f"the answer is not HTTP/1: {error}") from None
            self.cut()
        if self._switched:
            raise SendError(
                SendErrorKind.PROTOCOL, "the sink switched protocols, which nobody asked it to do"
            )
        if self.status and not self._versioned:
            self._check_version()
        return self.status > 0

    def _check_version(self) -> None:
        if self._parser.get_http_version() not in {"1.0", "1.1"}:
            raise SendError(SendErrorKind.PROTOCOL, "the answer is not HTTP/1")
        self._versioned = True

    def _prefix(self) -> BodyPrefix:
        if self._body is None:
            self._body = BodyPrefix(coding_of(self._headers), self._capture)
        return self._body

    def _is_delimited(self) -> bool:
        names = {name.lower(): value for name, value in self._headers}
        return b"content-length" in names or names.get(b"transfer-encoding", b"").lower().endswith(b"chunked")
