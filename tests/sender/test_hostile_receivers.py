# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
"""Receivers that hang, drip, flood, lie and leave: every attempt ends in time, with the right outcome."""

import asyncio
import gzip
import socket
import time

import pytest

from gateway.domain.sending import SendErrorKind

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


async def drip(peer, data: bytes) -> None:
    for at in range(len(data)):
        await peer.send(data[at : at + 1])
        await asyncio.sleep(0.02)


async def test_hangs_after_accept(receive, refuse):
    async def script(peer):
        await peer.gone()

    receiver = await receive(script)
    started = time.monotonic()
    error = await refuse(receiver.url(), timeout_s=0.2)
    assert (error.kind, error.timed_out) == (SendErrorKind.TIMEOUT, True)
    assert 0.15 < time.monotonic() - started < 2
    await receiver.until(lambda: receiver.open == 0)


async def test_hangs_before_accept(refuse):
    # A full backlog: the kernel no longer answers SYNs.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        try:
            for _ in range(8):
                filler = socket.socket()
                filler.settimeout(0)
                filler.connect_ex(listener.getsockname())
                fillers.append(filler)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            error = await refuse(url, timeout_s=5, connect_s=0.2)
            assert (error.kind, error.timed_out) == (SendErrorKind.CONNECT, True)
            error = await refuse(url, timeout_s=0.2)
            assert (error.kind, error.timed_out) == (SendErrorKind.CONNECT, True)
        finally:
            for filler in fillers:
                filler.close()


async def test_nobody_listens(refuse):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error = await refuse(f"http://127.0.0.1:{port}/")
    assert error.kind is SendErrorKind.CONNECT
    assert "127.0.0.1" not in str(error)


async def test_no_attempt_is_longer_than_fifteen_seconds(receive, refuse, monkeypatch):
    monkeypatch.setattr("gateway.adapters.http.transport.ATTEMPT_S_MAX", 0.2)

    async def script(peer):
        await peer.gone()

    receiver = await receive(script)
    error = await refuse(receiver.url(), timeout_s=3600)
    assert error.kind is SendErrorKind.TIMEOUT


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_hangs_before_its_status_is_whole(receive, refuse, head):
    async def script(peer):
        await peer.request()
        await peer.send(head)
        await peer.gone()

    receiver = await receive(script)
    error = await refuse(receiver.url(), timeout_s=0.2)
    assert error.kind is SendErrorKind.TIMEOUT


async def test_drips_its_headers(receive, refuse):
    async def script(peer):
        await peer.request()
        await drip(peer, HEAD + b"a: b\r\n" * 1000)

    receiver = await receive(script)
    error = await refuse(receiver.url(), timeout_s=0.3)
    assert error.kind is SendErrorKind.TIMEOUT
    await receiver.until(lambda: receiver.open == 0)


@pytest.mark.parametrize("head", [HEAD + b"\r\n", HEAD + b"content-length: 100000\r\n\r\n"])
async def test_drips_its_body(receive, post, head):
    async def script(peer):
        await peer.request()
        await peer.send(head)
        await drip(peer, b"x" * 100_000)

    receiver = await receive(script)
    started = time.monotonic()
    answer = await post(receiver.url(), timeout_s=0.3)
    assert time.monotonic() - started < 2
    assert (answer.status, answer.truncated) == (200, True)
    assert set(answer.body) == {ord("x")}
    await receiver.until(lambda: receiver.open == 0)


async def test_hangs_after_its_headers(receive, post):
    async def script(peer):
        await peer.request()
        await peer.send(HEAD + b"content-length: 5\r\n\r\n")
        await peer.gone()

    receiver = await receive(script)
    answer = await post(receiver.url(), timeout_s=0.2)
    assert (answer.status, answer.body, answer.truncated) == (200, b"", True)


@pytest.mark.parametrize("chunk", [b"x" * 65536, b"10000\r\n" + b"x" * 65536 + b"\r\n"])
async def test_endless_body(receive, post, chunk):
    sent = 0

    async def script(peer):
        nonlocal sent
        await peer.request()
        await peer.send(CHUNKED if chunk.startswith(b"1") else HEAD + b"\r\n")
        while True:
            await peer.send(chunk)
            sent += len(chunk)

    receiver = await receive(script)
    answer = await post(receiver.url(), timeout_s=5)
    assert (answer.status, len(answer.body), answer.truncated) == (200, 1024, True)
    assert answer.duration_s < 4
    await receiver.until(lambda: receiver.open == 0)
    assert sent < 64 << 20  # what the kernel buffers, and no more


async def test_gzip_bomb(receive, post):
    bomb = gzip.compress(b"\0" * (64 << 20))

    async def script(peer):
        await peer.request()
        await peer.send(HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb), bomb)
        await peer.gone()

    receiver = await receive(script)
    answer = await post(receiver.url())
    assert (answer.status, answer.body, answer.truncated) == (200, b"\0" * 1024, True)


@pytest.mark.parametrize("filler", [b"a: b\r\n" * 200, b"x" * 1000, b"HTTP/1.1 102 Processing\r\n\r\n" * 50])
async def test_endless_headers(receive, refuse, filler):
    async def script(peer):
        await peer.request()
        await peer.send(b"" if filler.startswith(b"HTTP") else HEAD)
        while True:
            await peer.send(filler)

    receiver = await receive(script)
    error = await refuse(receiver.url())
    assert error.kind is SendErrorKind.TOO_LARGE
    await receiver.until(lambda: receiver.open == 0)


async def test_informational_answers_and_trailers(receive, post, answering):
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    chunks = (b"2\r\nhe\r\n", b"3;e=1\r\nllo\r\n", b"0\r\ntrailer: 1\r\n\r\n")
    receiver = await receive(answering(early, CHUNKED, *chunks))
    for _ in range(2):
        answer = await post(receiver.url())
        assert (answer.status, answer.body, answer.truncated) == (200, b"hello", False)
        assert answer.headers == (("transfer-encoding", "chunked"),)


async def test_answers_early_and_leaves_the_body_unread(receive, post, make_transport):
    async def script(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await peer.receiver.until(lambda: finished)

    finished = False
    receiver = await receive(script)
    transport = make_transport()
    answer = await post(receiver.url(), body=b"x" * (16 << 20), transport=transport)
    assert (answer.status, answer.body) == (413, b"big")
    # The rest of the body must never stand in front of another request.
    again = await post(receiver.url(), transport=transport)
    assert again.status == 413
    assert receiver.connections == 2
    finished = True


async def test_answers_early_and_resets(receive, post):
    async def script(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")

    receiver = await receive(script)
    answer = await post(receiver.url(), body=b"x" * (16 << 20))
    assert answer.status == 413


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\na: b\r\n"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_closes_without_an_answer(receive, refuse, part, how):
    async def script(peer):
        await peer.request()
        await peer.send(part)
        if how == "reset":
            peer.reset()

    receiver = await receive(script)
    error = await refuse(receiver.url())
    assert error.kind is SendErrorKind.CLOSED
    assert receiver.connections == 1  # a new connection is not tried again


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_closes_in_the_middle_of_its_body(receive, post, how):
    async def script(peer):
        await peer.request()
        await peer.send(HEAD + b"content-length: 500\r\n\r\nhello")
        if how == "reset":
            # The reset must not overtake what was sent.
            await asyncio.sleep(0.05)
            peer.reset()

    receiver = await receive(script)
    answer = await post(receiver.url())
    assert (answer.status, answer.body, answer.truncated) == (200, b"hello", True)


@pytest.mark.parametrize(
    "garbage", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x16", b"220 mail\r\n"]
)
async def test_speaks_something_else(receive, refuse, garbage):
    async def script(peer):
        await peer.request()
        await peer.send(garbage)
        await peer.gone()

    receiver = await receive(script)
    error = await refuse(receiver.url())
    assert error.kind is SendErrorKind.PROTOCOL
    await receiver.until(lambda: receiver.open == 0)


@pytest.mark.parametrize(
    "poison", [b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison", b"HTTP/1.1 2", b"\r\n"]
)
async def test_speaks_before_it_is_asked(receive, post, make_transport, poison):
    """An answer that came before the request is nobody's: the connection goes, the request is sent anew."""
    spoken = asyncio.Event()

    async def script(peer):
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % peer.number)
        if peer.number == 1:
            await spoken.wait()
            await peer.send(poison)
        await peer.gone()

    receiver = await receive(script)
    transport = make_transport()
    assert (await post(receiver.url(), transport=transport)).body == b"1"
    spoken.set()
    await receiver.until(lambda: receiver.open == 0)
    assert (await post(receiver.url(), transport=transport)).body == b"2"


async def test_second_answer_behind_the_first_is_dropped(receive, post, answering, make_transport):
    two = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"
    receiver = await receive(answering(two))
    transport = make_transport()
    for _ in range(3):
        assert (await post(receiver.url(), transport=transport)).body == b"ok"
    assert receiver.connections == 3


async def test_cancelling_closes_the_connection(receive, post, make_transport):
    async def script(peer):
        await peer.request()
        await peer.gone()

    receiver = await receive(script)
    transport = make_transport()
    task = asyncio.create_task(post(receiver.url(), transport=transport))
    await receiver.until(lambda: len(receiver.requests) == 0 and receiver.open == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await receiver.until(lambda: receiver.open == 0)
    assert transport._pool._open == 0


async def test_many_hostile_receivers_at_once_do_not_slow_a_good_one(
    receive, refuse, post, answering, make_transport
):
    async def hang(peer):
        await peer.gone()

    bad = [await receive(hang) for _ in range(10)]
    good = await receive(answering())
    transport = make_transport()
    hanging = [asyncio.create_task(refuse(each.url(), timeout_s=0.5, transport=transport)) for each in bad]
    answers = [await post(good.url(), transport=transport) for _ in range(20)]
    assert not any(task.done() for task in hanging)
    assert {answer.status for answer in answers} == {200}
    assert {error.kind for error in await asyncio.gather(*hanging)} == {SendErrorKind.TIMEOUT}
