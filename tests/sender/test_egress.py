# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
"""No hostile sink is ever connected to: listeners and a spy on every socket prove it."""

import asyncio
import ipaddress
import json
from pathlib import Path

import httpx
import pytest

from gateway.adapters.http.guard import EgressPolicy
from gateway.adapters.http.sender import EgressSender
from gateway.adapters.http.transport import EgressTransport
from gateway.domain.sending import SendErrorKind, SinkRefused, SinkRule

pytestmark = pytest.mark.anyio

CORPUS = Path(__file__).parent / "corpus"
HOSTILE = json.loads((CORPUS / "hostile_urls.json").read_text(encoding="utf-8"))
RANGES = [
    line.split("\t") for line in (CORPUS / "reserved_ranges.tsv").read_text(encoding="utf-8").splitlines()[1:]
]
ALL_OPEN = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


async def test_no_hostile_url_is_connected_to(receive, answering, refuse, make_transport, opened):
    """One listener on every spelling's port, with nothing opened, for an administrator and for anybody."""
    receiver = await receive(answering())
    transport = make_transport(allow=())
    for row in HOSTILE:
        url = row["url"].replace("{port}", str(receiver.port))
        for privileged in (True, False):
            error = await refuse(url, transport=transport, privileged=privileged)
            assert (error.kind, error.rule) == (SendErrorKind.REFUSED, row["rule"]), row
    assert opened == []
    assert receiver.connections == 0


async def test_no_name_that_resolves_to_a_reserved_range_is_connected_to(
    names, refuse, make_transport, opened
):
    resolver = names()
    transport = make_transport(allow=(), resolver=resolver)
    for network, inside, *_ in RANGES:
        block = ipaddress.ip_network(network)
        for edge in (str(block[0]), str(block[-1])):
            for answer in ([edge], ["8.8.8.8", edge], [edge, "8.8.8.8"]):
                resolver.answers["hook.example"] = [answer]
                error = await refuse("https://hook.example/", transport=transport)
                assert (error.kind, error.rule) == (SendErrorKind.REFUSED, inside), edge
                assert edge not in str(error)
    assert opened == []


async def test_name_that_resolves_to_metadata_is_refused_whatever_is_opened(
    names, refuse, make_transport, opened
):
    for address in (
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "64:ff9b::a9fe:a9fe",
        "fe80::1",
    ):
        transport = make_transport(allow=ALL_OPEN, resolver=names(hook_example=[[address]]))
        error = await refuse("http://hook.example/", transport=transport)
        assert error.rule is SinkRule.NEVER
    assert opened == []


async def test_only_the_vetted_address_is_connected_to(
    *, receive, answering, post, refuse, names, make_transport, opened
):
    """Rebinding between check and connect: a second look-up would get the second answer."""
    receiver = await receive(answering())
    resolver = names(rebind_example=[["127.0.0.1"], ["10.0.0.1"]])
    transport = make_transport(resolver=resolver, age_s=0.0)
    sender = EgressSender(transport)
    await sender.admit(receiver.url(host="rebind.example"), privileged=True)
    error = await refuse(receiver.url(host="rebind.example"), transport=transport)
    assert error.rule is SinkRule.NOT_PUBLIC
    assert opened == []
    resolver.answers["rebind.example"] = [["127.0.0.1"], ["10.0.0.1"]]
    assert (await post(receiver.url(host="rebind.example"), transport=transport)).status == 200
    assert opened == [("127.0.0.1", receiver.port)]
    assert resolver.asked == ["rebind.example"] * 3


async def test_host_field_keeps_the_name(receive, answering, post, names):
    receiver = await receive(answering())
    await post(receiver.url("/a?b=c", host="Hook.Example"), resolver=names(hook_example=[["127.0.0.1"]]))
    head, body = receiver.requests[0]
    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\nhost: hook.example:%d\r\n" % receiver.port)
    assert b"content-length: 7\r\n\r\n" in head
    assert body == b'{"a":1}'


async def test_name_that_has_moved_is_vetted_at_the_next_connection(
    *, receive, names, post, refuse, make_transport, opened
):
    async def script(peer):
        for _ in range(2):
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    receiver = await receive(script)
    resolver = names(moving_example=[["127.0.0.1"], ["169.254.169.254"]])
    transport = make_transport(resolver=resolver)
    url = receiver.url(host="moving.example")
    # The second request goes over the connection to the address that was vetted for it.
    assert [(await post(url, transport=transport)).status for _ in range(2)] == [200, 200]
    await receiver.until(lambda: receiver.open == 0)
    error = await refuse(url, transport=transport)
    assert error.rule is SinkRule.NEVER
    assert opened == [("127.0.0.1", receiver.port)]


async def test_name_that_has_moved_is_vetted_when_a_stale_connection_is_replaced(
    *, receive, names, post, refuse, make_transport, opened
):
    async def script(peer):
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await peer.request()

    receiver = await receive(script)
    transport = make_transport(resolver=names(moving_example=[["127.0.0.1"], ["10.0.0.1"]]))
    url = receiver.url(host="moving.example")
    assert (await post(url, transport=transport)).status == 200
    assert (await refuse(url, transport=transport)).rule is SinkRule.NOT_PUBLIC
    assert opened == [("127.0.0.1", receiver.port)]


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest/", "//10.0.0.1/", "/other", "file:///etc/passwd"]
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_row_24_redirects_are_not_followed(*, receive, answering, post, opened, status, location):
    answer = b"HTTP/1.1 %d Moved\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % (status, location.encode())
    receiver = await receive(answering(answer))
    assert (await post(receiver.url())).status == status
    assert opened == [("127.0.0.1", receiver.port)]
    assert len(receiver.requests) == 1


async def test_client_that_follows_redirects_is_stopped_by_the_guard(
    receive, answering, make_transport, opened
):
    answer = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\n\r\n"
    receiver = await receive(answering(answer))
    async with httpx.AsyncClient(transport=make_transport(), follow_redirects=True) as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(receiver.url(), extensions={"privileged": True})
    assert opened == [("127.0.0.1", receiver.port)]


async def test_environment_proxies_are_not_asked(receive, answering, post, monkeypatch, names):
    proxy, receiver = await receive(answering()), await receive(answering())
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy.url(""))
    monkeypatch.setenv("NO_PROXY", "")
    await post(receiver.url(host="hook.example"), resolver=names(hook_example=[["127.0.0.1"]]))
    assert (proxy.connections, receiver.connections) == (0, 1)


async def test_the_gateway_does_not_post_to_itself(receive, answering, refuse, names, opened):
    receiver = await receive(answering())
    own = frozenset({("127.0.0.1", receiver.port)})
    for url in (
        receiver.url(),
        receiver.url(host="localhost"),
        receiver.url(host="2130706433"),
        receiver.url(host="me.example"),
    ):
        error = await refuse(url, own=own, resolver=names(me_example=[["127.0.0.1"]]))
        assert error.rule is SinkRule.OWN
    assert receiver.connections == 0
    assert opened == []


async def test_opened_network_is_for_administrators_only(*, receive, answering, post, refuse, names, opened):
    receiver = await receive(answering())
    resolver = names(hook_example=[["127.0.0.1"]])
    for url in (receiver.url(), receiver.url(host="hook.example"), receiver.url(host="localhost")):
        error = await refuse(url, resolver=resolver, privileged=False)
        assert error.rule is SinkRule.NOT_PUBLIC
        assert opened == []
    for url in (receiver.url(), receiver.url(host="hook.example"), receiver.url(host="localhost")):
        assert (await post(url, resolver=resolver)).status == 200


async def test_second_address_is_tried_where_the_first_refuses(receive, answering, post, names, opened):
    receiver = await receive(answering())
    await post(receiver.url(host="two.example"), resolver=names(two_example=[["127.0.0.2", "127.0.0.1"]]))
    assert opened == [("127.0.0.2", receiver.port), ("127.0.0.1", receiver.port)]


async def test_ipv6_sink(receive, answering, post, opened):
    receiver = await receive(answering(), host="::1")
    assert (await post(receiver.url(host="[::1]"))).status == 200
    assert receiver.requests[0][0].startswith(b"POST /hook HTTP/1.1\r\nhost: [::1]:%d\r\n" % receiver.port)
    assert opened == [("::1", receiver.port)]


async def test_creation_refuses_what_resolves_badly_and_accepts_what_does_not_resolve(
    names, make_transport, opened
):
    resolver = names(bad_example=[["8.8.8.8", "10.0.0.1"]], good_example=[["8.8.8.8"]])
    sender = EgressSender(make_transport(allow=(), resolver=resolver))
    await sender.admit("https://good.example/", privileged=False)
    await sender.admit("https://later.example/", privileged=False)
    await sender.admit("https://8.8.8.8/", privileged=False)
    for url in ("https://bad.example/", "https://10.0.0.1/", "https://localhost/", "ftp://good.example/"):
        with pytest.raises(SinkRefused) as refused:
            await sender.admit(url, privileged=False)
        assert "10.0.0.1" not in str(refused.value)
    assert opened == []


async def test_name_that_does_not_resolve_is_an_error_of_its_own(names, refuse):
    error = await refuse("https://nowhere.example/", resolver=names())
    assert error.kind is SendErrorKind.DNS


async def test_transport_reads_no_address_from_outside_its_guard():
    """The only call that opens a socket to a sink is fed by `vet`: nothing in the room calls another one."""
    room = Path(__file__).parents[2] / "gateway" / "adapters" / "http"
    calls = [
        (file.name, word)
        for file in sorted(room.glob("*.py"))
        for word in (
            "sock_connect(",
            "create_connection(",
            "open_connection(",
            "create_datagram",
            ".connect((",
            "urlopen",
        )
        for _ in range(file.read_text(encoding="utf-8").count(word))
    ]
    assert calls == [
        ("connector.py", "sock_connect("),
        ("connector.py", "create_connection("),
        ("connector.py", "create_connection("),
        ("guard.py", ".connect(("),  # a datagram socket that sends nothing
    ]


async def test_policy_and_limits_have_safe_defaults():
    transport = EgressTransport(EgressPolicy())
    with pytest.raises(SinkRefused):
        transport.target("http://127.0.0.1/", privileged=True)
    await asyncio.wait_for(transport.aclose(), 1)
