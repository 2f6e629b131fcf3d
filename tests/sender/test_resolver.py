# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
"""The system's resolver never holds anything else up: not the loop, not other names, not the end of the process."""

import asyncio
import ipaddress
import socket
import subprocess
import sys
import threading

import pytest

from gateway.adapters.http.resolver import SystemResolver
from gateway.domain.sending import SendError, SendErrorKind

pytestmark = pytest.mark.anyio


class FakeLookup:
    """A `getaddrinfo` that hangs on the names a test says, and counts."""

    def __init__(self, hanging=()):
        self.hanging = {name: threading.Event() for name in hanging}
        self.asked: list[str] = []
        self.threads: set[threading.Thread] = set()

    def __call__(self, host, _port, **_options):
        self.asked.append(host)
        self.threads.add(threading.current_thread())
        if host in self.hanging:
            assert self.hanging[host].wait(10)
        if host.startswith("no."):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1%lo", 0, 0, 1)),
        ]

    def release(self):
        for event in self.hanging.values():
            event.set()


async def error(resolver, host, timeout_s=5.0):
    with pytest.raises(SendError) as caught:
        await resolver.resolve(host, timeout_s=timeout_s)
    assert caught.value.kind is SendErrorKind.DNS
    return caught.value


async def test_addresses_of_a_name():
    lookup = FakeLookup()
    found = await SystemResolver(getaddrinfo=lookup).resolve("a.example", timeout_s=5)
    assert found == (ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("2001:db8::1%lo"))


async def test_the_real_one():
    found = await SystemResolver().resolve("localhost", timeout_s=5)
    assert all(address.is_loopback for address in found)
    assert not (await error(SystemResolver(), "nowhere.invalid")).timed_out


async def test_answers_and_failures_are_remembered_for_a_moment():
    lookup = FakeLookup()
    resolver = SystemResolver(getaddrinfo=lookup, keep_s=60)
    for _ in range(3):
        await resolver.resolve("a.example", timeout_s=5)
        await error(resolver, "no.example")
    assert lookup.asked == ["a.example", "no.example"]
    brief = SystemResolver(getaddrinfo=lookup, keep_s=0)
    for _ in range(2):
        await brief.resolve("b.example", timeout_s=5)
    assert lookup.asked[2:] == ["b.example", "b.example"]


async def test_what_is_remembered_is_bounded():
    resolver = SystemResolver(getaddrinfo=FakeLookup(), queue_max=10)
    for at in range(50):
        await resolver.resolve(f"a{at}.example", timeout_s=5)
    assert len(resolver._known) == 10


async def test_one_look_up_per_name_and_no_waiter_cancels_another():
    lookup = FakeLookup(hanging=["slow.example"])
    resolver = SystemResolver(getaddrinfo=lookup)
    waiters = [asyncio.create_task(resolver.resolve("slow.example", timeout_s=5)) for _ in range(5)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    assert (await error(resolver, "slow.example", timeout_s=0.05)).timed_out
    lookup.release()
    answers = await asyncio.gather(*waiters, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert all(isinstance(answer, tuple) for answer in answers[1:])
    assert lookup.asked == ["slow.example"]


async def test_hanging_names_do_not_hold_up_the_others():
    hanging = [f"slow{at}.example" for at in range(12)]
    lookup = FakeLookup(hanging=hanging)
    resolver = SystemResolver(getaddrinfo=lookup, threads_max=8, keep_s=0)
    try:
        # The first six take all threads; from then on they are known to be slow.
        for host in hanging[:5]:
            assert (await error(resolver, host, timeout_s=0.02)).timed_out
        for _ in range(3):
            assert await resolver.resolve("good.example", timeout_s=5)
    finally:
        lookup.release()
    for host in hanging[:5]:
        await resolver.resolve(host, timeout_s=5)  # it answers again
    lookup = resolver._getaddrinfo = FakeLookup(hanging=hanging[:5])
    for host in hanging[:5]:
        resolver._mark_slow(host)
    waiting = [asyncio.create_task(resolver.resolve(host, timeout_s=5)) for host in hanging[:5]]
    try:
        assert await resolver.resolve("good.example", timeout_s=5)
        # Slow names share a quarter of the threads.
        assert len(set(lookup.asked) & set(hanging)) == 2
        assert not any(task.done() for task in waiting)
    finally:
        lookup.release()
    assert len(await asyncio.gather(*waiting)) == 5


async def test_threads_and_queue_are_bounded():
    hanging = [f"slow{at}.example" for at in range(20)]
    lookup = FakeLookup(hanging=hanging)
    resolver = SystemResolver(getaddrinfo=lookup, threads_max=4, queue_max=5)
    waiting = [asyncio.create_task(resolver.resolve(host, timeout_s=5)) for host in hanging[:8]]
    await asyncio.sleep(0)
    assert "too many" in (await error(resolver, hanging[8])).detail
    assert len(lookup.threads) <= 4
    lookup.release()
    assert len(await asyncio.gather(*waiting)) == 8
    for thread in lookup.threads:
        thread.join(5)


def test_a_hanging_look_up_does_not_keep_the_process_alive():
    program = """
import asyncio, threading
from gateway.adapters.http.resolver import SystemResolver
from gateway.domain.sending import SendError
async def main():
    resolver = SystemResolver(getaddrinfo=lambda *a, **o: threading.Event().wait())
    try:
        await resolver.resolve("slow.example", timeout_s=0.05)
    except SendError as error:
        print(error.kind.value)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=10, check=True
    )
    assert done.stdout == "dns\n"
