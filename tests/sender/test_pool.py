# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
"""Keep-alive connections: used again, bounded, fair, and never trusted longer than they should be."""

import asyncio
import time

import pytest

from gateway.domain.sending import SendErrorKind

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def quiet(transport) -> bool:
    pool = transport._pool
    return not (
        pool._open or pool._origins or pool._waiting or pool._waiting_count or pool._idle or pool._all
    )


async def test_connection_is_used_again(receive, post, answering, make_transport):
    receiver = await receive(answering())
    transport = make_transport()
    for _ in range(5):
        assert (await post(receiver.url(), transport=transport)).status == 200
    assert (receiver.connections, len(receiver.requests)) == (1, 5)
    await transport.aclose()
    assert quiet(transport)
    await receiver.until(lambda: receiver.open == 0)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nconnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
async def test_connection_is_not_used_again_where_the_sink_closes_it(
    receive, post, answering, make_transport, head
):
    receiver = await receive(answering(head + b"content-length: 2\r\n\r\nok"))
    transport = make_transport()
    for _ in range(3):
        assert (await post(receiver.url(), transport=transport)).body == b"ok"
    assert receiver.connections == 3
    await receiver.until(lambda: receiver.open == 0)
    assert quiet(transport)


async def test_stale_connection_is_replaced_once(receive, post, make_transport):
    """The sink closes an idle connection just as the next request is written into it."""

    async def script(peer):
        await peer.request()
        await peer.send(OK)
        if peer.number == 1:
            await peer.request()  # and goes, without a byte
        else:
            await peer.gone()

    receiver = await receive(script)
    transport = make_transport()
    assert (await post(receiver.url(), transport=transport)).status == 200
    assert (await post(receiver.url(), transport=transport)).status == 200
    assert (receiver.connections, len(receiver.requests)) == (2, 3)


async def test_sink_that_always_leaves_is_tried_once_more_only(receive, post, refuse, make_transport):
    async def script(peer):
        await peer.request()
        if peer.number == 1:
            await peer.send(OK)
            await peer.request()

    receiver = await receive(script)
    transport = make_transport()
    assert (await post(receiver.url(), transport=transport)).status == 200
    error = await refuse(receiver.url(), transport=transport)
    assert error.kind is SendErrorKind.CLOSED
    assert len(receiver.requests) == 3


async def test_nothing_is_sent_again_once_the_answer_has_begun(receive, post, refuse, make_transport):
    async def script(peer):
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.send(b"HTTP/1.1 2")

    receiver = await receive(script)
    transport = make_transport()
    assert (await post(receiver.url(), transport=transport)).status == 200
    error = await refuse(receiver.url(), transport=transport)
    assert error.kind is SendErrorKind.CLOSED
    assert (receiver.connections, len(receiver.requests)) == (1, 2)


async def test_nothing_is_sent_again_after_a_timeout(receive, post, refuse, make_transport):
    async def script(peer):
        await peer.request()
        await peer.send(OK)
        await peer.gone()

    receiver = await receive(script)
    transport = make_transport()
    assert (await post(receiver.url(), transport=transport)).status == 200
    started = time.monotonic()
    error = await refuse(receiver.url(), transport=transport, timeout_s=0.2)
    assert error.kind is SendErrorKind.TIMEOUT
    assert time.monotonic() - started < 2  # its own time, not that of the request before
    assert receiver.connections == 1


async def test_all_idle_connections_of_a_restarted_sink_are_forgotten(receive, post, make_transport):
    together = asyncio.Barrier(4)
    restarted = asyncio.Event()

    async def script(peer):
        await peer.request()
        if not restarted.is_set():
            await together.wait()
            await peer.send(OK)
            await peer.request()
            return
        await peer.send(OK)
        await peer.gone()

    receiver = await receive(script)
    transport = make_transport()
    await asyncio.gather(*(post(receiver.url(), transport=transport) for _ in range(4)))
    assert receiver.connections == 4
    restarted.set()
    assert (await post(receiver.url(), transport=transport)).status == 200
    assert receiver.connections == 5
    assert transport._pool._open == 1


async def test_idle_connection_expires(receive, post, answering, make_transport):
    receiver = await receive(answering())
    transport = make_transport(idle_s=0.1)
    assert (await post(receiver.url(), transport=transport, timeout_s=0.2)).status == 200
    await receiver.until(lambda: receiver.open == 0)
    assert quiet(transport)
    assert (await post(receiver.url(), transport=transport)).status == 200
    assert receiver.connections == 2


async def test_old_connection_is_renewed(receive, post, answering, make_transport):
    receiver = await receive(answering())
    transport = make_transport(age_s=0.0)
    for _ in range(3):
        assert (await post(receiver.url(), transport=transport)).status == 200
    assert receiver.connections == 3


async def test_connections_to_one_origin_are_bounded(receive, post, make_transport):
    most = 0

    async def script(peer):
        nonlocal most
        while True:
            await peer.request()
            most = max(most, peer.receiver.open)
            await asyncio.sleep(0.001)
            await peer.send(OK)

    receiver = await receive(script)
    transport = make_transport(connections_per_origin_max=3)
    answers = await asyncio.gather(*(post(receiver.url(), transport=transport) for _ in range(60)))
    assert {answer.status for answer in answers} == {200}
    assert most == receiver.connections == 3


@pytest.mark.parametrize("keep", [b"", b"connection: close\r\n"], ids=["keep-alive", "close"])
async def test_connections_in_all_are_bounded_and_shared_out(receive, post, make_transport, keep):
    """Origins that wait for the total take turns, whether or not connections can be handed on."""
    answer = b"HTTP/1.1 200 OK\r\n" + keep + b"content-length: 2\r\n\r\nok"
    order: list[int] = []

    async def script(peer):
        while True:
            await peer.request()
            order.append(peer.receiver.port)
            await asyncio.sleep(0.001)
            await peer.send(answer)

    receivers = [await receive(script) for _ in range(4)]
    transport = make_transport(connections_max=2)
    everything = [post(receiver.url(), transport=transport) for receiver in receivers for _ in range(10)]
    answers = await asyncio.gather(*everything)
    assert {each.status for each in answers} == {200}
    assert len(order) == 40
    # The last origin did not have to wait for all requests of the first ones.
    assert order.index(receivers[3].port) < 20
    assert transport._pool._open <= 2
    await transport.aclose()
    assert quiet(transport)


async def test_longest_unused_connection_gives_way(receive, post, answering, make_transport):
    receivers = [await receive(answering()) for _ in range(3)]
    transport = make_transport(connections_max=2)
    for receiver in (receivers[0], receivers[1], receivers[0], receivers[2]):
        await post(receiver.url(), transport=transport)
    await receivers[1].until(lambda: receivers[1].open == 0)
    assert [receiver.open for receiver in receivers] == [1, 0, 1]


async def test_waiting_for_a_connection_ends_with_the_attempt(receive, refuse, make_transport):
    async def script(peer):
        await peer.gone()

    receiver = await receive(script)
    transport = make_transport(connections_per_origin_max=1)
    first = asyncio.create_task(refuse(receiver.url(), transport=transport, timeout_s=0.6))
    await receiver.until(lambda: receiver.open == 1)
    error = await refuse(receiver.url(), transport=transport, timeout_s=0.1)
    assert (error.kind, error.timed_out) == (SendErrorKind.TIMEOUT, True)
    assert not first.done()
    assert (await first).kind is SendErrorKind.TIMEOUT
    assert receiver.connections == 1
    assert quiet(transport)


async def test_the_number_that_wait_is_bounded(receive, refuse, make_transport):
    async def script(peer):
        await peer.gone()

    receiver = await receive(script)
    transport = make_transport(connections_per_origin_max=1, waiting_max=2)
    tasks = [
        asyncio.create_task(refuse(receiver.url(), transport=transport, timeout_s=0.4)) for _ in range(5)
    ]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert sum(task.done() for task in tasks) == 2
    await asyncio.gather(*tasks)
    assert quiet(transport)


@pytest.mark.interpreted
@pytest.mark.parametrize("keep", [b"", b"connection: close\r\n"], ids=["keep-alive", "close"])
async def test_cancelled_waiters_lose_no_place(receive, post, make_transport, keep):
    release = asyncio.Event()

    async def script(peer):
        while True:
            await peer.request()
            await release.wait()
            await peer.send(b"HTTP/1.1 200 OK\r\n" + keep + b"content-length: 2\r\n\r\nok")

    receiver = await receive(script)
    transport = make_transport(connections_per_origin_max=1)
    first = asyncio.create_task(post(receiver.url(), transport=transport))
    await receiver.until(lambda: receiver.open == 1)
    waiting = [asyncio.create_task(post(receiver.url(), transport=transport)) for _ in range(6)]
    while transport._pool._waiting_count < 6:
        await asyncio.sleep(0)

    pool = transport._pool
    give_back = pool.give_back

    def give_back_and_cancel(connection, now):
        give_back(connection, now)
        # In the very turn in which the place was handed on: one of these has it already.
        for task in waiting[:4]:
            task.cancel()

    pool.give_back = give_back_and_cancel
    release.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in outcomes[:4])
    assert [task.result().status for task in (first, *waiting[4:])] == [200] * 3
    assert transport._pool._open <= 1
    await transport.aclose()
    assert quiet(transport)


async def test_closing_ends_what_is_under_way(receive, refuse, make_transport):
    async def script(peer):
        await peer.gone()

    receiver = await receive(script)
    transport = make_transport(connections_per_origin_max=1)
    tasks = [asyncio.create_task(refuse(receiver.url(), transport=transport)) for _ in range(3)]
    await receiver.until(lambda: receiver.open == 1)
    await transport.aclose()
    assert {error.kind for error in await asyncio.gather(*tasks)} == {SendErrorKind.CLOSED}
    assert quiet(transport)
    assert (await refuse(receiver.url(), transport=transport)).kind is SendErrorKind.CLOSED


async def test_privileged_connection_serves_no_unprivileged_sink(
    *, receive, post, refuse, answering, make_transport, names
):
    receiver = await receive(answering())
    transport = make_transport(resolver=names(hook_example=[["127.0.0.1"]]))
    url = receiver.url(host="hook.example")
    assert (await post(url, transport=transport)).status == 200
    error = await refuse(url, transport=transport, privileged=False)
    assert error.kind is SendErrorKind.REFUSED
    assert len(receiver.requests) == 1


async def test_sink_that_closes_without_saying_so_gets_everything(receive, post, make_transport):
    """Each connection looks fit to be handed on, and is dead when the next request comes."""

    async def script(peer):
        await peer.request()
        await peer.send(OK)

    receiver = await receive(script)
    transport = make_transport(connections_per_origin_max=1)
    answers = await asyncio.gather(*(post(receiver.url(), transport=transport) for _ in range(10)))
    assert [answer.status for answer in answers] == [200] * 10


async def test_random_load_leaks_nothing(receive, make_transport, post):
    """Requests, cancellations, closing sinks and tight limits at once; afterwards the books are balanced."""

    async def script(peer):
        for turn in range(peer.number % 4 + 1):
            await peer.request()
            if (peer.number + turn) % 7 == 0:
                return
            await asyncio.sleep(0.001 * (peer.number % 3))
            await peer.send(OK if turn % 3 else OK.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n"))

    receivers = [await receive(script) for _ in range(5)]
    transport = make_transport(connections_max=4, connections_per_origin_max=2)
    tasks = [
        asyncio.create_task(
            post(receivers[at % 5].url(), transport=transport, timeout_s=0.05 * (1 + at % 40))
        )
        for at in range(300)
    ]
    for at, task in enumerate(tasks):
        if at % 11 == 0:
            await asyncio.sleep(0)
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    pool = transport._pool
    assert pool._open == len(pool._all) == len(pool._idle) <= 4
    assert pool._waiting_count == 0
    await transport.aclose()
    assert quiet(transport)
