# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
"""The same path behind an httpx.AsyncClient: what httpx users expect, and nothing the guard would not have."""

import gzip
import json

import httpx
import pytest

from gateway.domain.sending import SendError, SendErrorKind

pytestmark = pytest.mark.anyio
ADMIN = {"privileged": True}


@pytest.fixture
def client(make_transport):
    def make(**options):
        return httpx.AsyncClient(transport=make_transport(**options), timeout=5)

    return make


async def test_post(receive, answering, client):
    receiver = await receive(answering())
    async with client() as http:
        answer = await http.post(
            receiver.url("/a?b=c"), json={"a": 1}, headers={"x-y": "z"}, extensions=ADMIN
        )
    assert (answer.status_code, answer.text, answer.extensions["truncated"]) == (200, "ok", False)
    head, body = receiver.requests[0]
    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % receiver.port)
    assert json.loads(body) == {"a": 1}
    names = [line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:-2]]
    assert sorted(names) == sorted(set(names))  # no field twice, Host and Content-Length least of all
    assert {b"x-y", b"content-type", b"content-length", b"accept-encoding"} < set(names)
    assert b"accept-encoding: identity\r\n" in head


@pytest.mark.parametrize(
    ("method", "length"), [("GET", b""), ("OPTIONS", b""), ("POST", b"0"), ("PUT", b"0")]
)
async def test_methods_without_a_body(receive, answering, client, method, length):
    receiver = await receive(answering())
    async with client() as http:
        assert (await http.request(method, receiver.url(), extensions=ADMIN)).status_code == 200
    head = receiver.requests[0][0].lower()
    assert head.startswith(method.lower().encode() + b" /hook ")
    assert (b"content-length: " in head) == bool(length)


async def test_head(receive, answering, client):
    receiver = await receive(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nx: y\r\n\r\n"))
    async with client() as http:
        for _ in range(2):
            answer = await http.head(receiver.url(), extensions=ADMIN)
            assert (answer.status_code, answer.content, answer.headers["x"]) == (200, b"", "y")


async def test_streamed_request_is_sent_with_its_length(receive, answering, client):
    async def parts():
        yield b"hello "
        yield b"world"

    receiver = await receive(answering())
    async with client() as http:
        await http.post(receiver.url(), content=parts(), extensions=ADMIN)
    head, body = receiver.requests[0]
    assert body == b"hello world"
    assert b"transfer-encoding" not in head.lower()


async def test_packed_answer_is_unpacked_once(receive, answering, client):
    packed = gzip.compress(b"hello" * 100)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    receiver = await receive(answering(head + packed))
    async with client() as http:
        answer = await http.post(receiver.url(), extensions=ADMIN)
    assert answer.content == b"hello" * 100
    assert "content-encoding" not in answer.headers


async def test_large_answer_says_that_it_is_cut(receive, answering, client):
    receiver = await receive(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + b"x" * 200_000))
    async with client() as http:
        answer = await http.post(receiver.url(), extensions=ADMIN)
    assert answer.extensions["truncated"]
    assert 1024 < len(answer.content) <= 64 * 1024


async def test_guard_holds_here_too(receive, answering, client, opened):
    receiver = await receive(answering())
    async with client() as http:
        for url in (
            receiver.url(),
            "http://10.0.0.1/",
            "http://169.254.169.254/",
            "https://user@example.com/",
        ):
            with pytest.raises(httpx.ConnectError) as refused:
                await http.post(url)
            assert "not allowed" in str(refused.value)
    assert opened == []
    assert receiver.connections == 0


async def test_host_field_of_the_caller_does_not_count(receive, answering, client):
    receiver = await receive(answering())
    headers = {"host": "internal.example", "connection": "close", "te": "trailers"}
    async with client() as http:
        await http.post(receiver.url(), headers=headers, extensions=ADMIN)
    head = receiver.requests[0][0]
    assert b"internal.example" not in head
    assert head.lower().count(b"host: ") == 1


async def test_errors_are_httpx_errors(receive, client, names):
    async def script(peer):
        head, _ = await peer.request()
        if b"/hang" in head:
            await peer.gone()
        elif b"/garbage" in head:
            await peer.send(b"garbage\r\n\r\n")

    receiver = await receive(script)
    cases = {
        receiver.url("/hang"): (httpx.ReadTimeout, SendErrorKind.TIMEOUT),
        receiver.url("/close"): (httpx.RemoteProtocolError, SendErrorKind.CLOSED),
        receiver.url("/garbage"): (httpx.RemoteProtocolError, SendErrorKind.PROTOCOL),
        "http://nowhere.example/": (httpx.ConnectError, SendErrorKind.DNS),
        "http://127.0.0.1:1/": (httpx.ConnectError, SendErrorKind.CONNECT),
    }
    async with client(resolver=names()) as http:
        for url, (kind, cause) in cases.items():
            with pytest.raises(kind) as caught:
                await http.post(url, timeout=0.2, extensions=ADMIN)
            assert isinstance(caught.value.__cause__, SendError)
            assert caught.value.__cause__.kind is cause
            assert caught.value.request.url == url


async def test_connect_timeout(receive, client):
    async def script(peer):
        await peer.gone()

    receiver = await receive(script)
    url = receiver.url().replace("http:", "https:")
    async with client() as http:
        with pytest.raises(httpx.ConnectTimeout):
            await http.post(url, timeout=httpx.Timeout(5, connect=0.1), extensions=ADMIN)


async def test_answer_headers_that_are_not_ascii(receive, answering, client):
    receiver = await receive(answering(b"HTTP/1.1 200 OK\r\nx: caf\xe9\r\ncontent-length: 0\r\n\r\n"))
    async with client() as http:
        answer = await http.post(receiver.url(), extensions=ADMIN)
    assert (b"x", b"caf\xe9") in answer.headers.raw


async def test_header_that_cannot_be_sent(receive, answering, client):
    receiver = await receive(answering())
    async with client() as http:
        with pytest.raises(httpx.LocalProtocolError):
            await http.post(receiver.url(), headers={"x": "a\r\nb: c"}, extensions=ADMIN)
    assert receiver.connections == 0
