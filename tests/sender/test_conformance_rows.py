# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
"""Rows of the standards that bind whatever posts to a sink: one suite, run on each way to post."""

import json

import httpx
import pytest

from gateway.adapters.http.sender import EgressSender
from gateway.domain.sending import OutboundRequest, SendError, SinkRule

pytestmark = pytest.mark.anyio

HEADERS = (("Content-Type", "application/json"), ("webhook-id", "dlv_a"), ("ce-specversion", "1.0"))
BODY = json.dumps({"ü": "\u2603"}, ensure_ascii=False).encode()


@pytest.fixture(params=["sender", "post", "httpx"])
def deliver(request, make_transport):
    """POST, and answer with status, headers (lower-case names) and body."""

    async def send(url, *, timeout_s=5.0, **options):
        transport = make_transport(**options)
        if request.param == "httpx":
            async with httpx.AsyncClient(transport=transport, timeout=timeout_s) as client:
                answer = await client.post(
                    url, headers=dict(HEADERS), content=BODY, extensions={"privileged": True}
                )
                return answer.status_code, dict(answer.headers), answer.content
        if request.param == "post":
            target = transport.target(url, privileged=True)
            headers = [(name.encode(), value.encode()) for name, value in HEADERS]
            got = await transport.post(target, headers, BODY, deadline_s=timeout_s, privileged=True)
        else:
            got = await EgressSender(transport).send(
                OutboundRequest(url, HEADERS, BODY, timeout_s, privileged=True)
            )
        return got.status, {name.lower(): value for name, value in got.headers}, got.body

    return send


async def test_row_23_post_with_body_and_content_type(receive, answering, deliver):
    receiver = await receive(answering())
    await deliver(receiver.url("/hook?x=1"))
    head, body = receiver.requests[0]
    assert head.startswith(b"POST /hook?x=1 HTTP/1.1\r\n")
    assert b"\r\ncontent-type: application/json\r\n" in head.lower()
    assert b"\r\ncontent-length: %d\r\n" % len(BODY) in head
    assert body == BODY


async def test_row_23_https_only_in_production(receive, answering, deliver):
    receiver = await receive(answering())
    with pytest.raises(Exception, match="https only"):
        await deliver(receiver.url(), https_only=True)
    assert receiver.connections == 0


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 226])
async def test_row_25_success_is_told_as_it_came(receive, answering, deliver, status):
    end = b"\r\n\r\n" if status == 204 else b"\r\ncontent-length: 0\r\n\r\n"
    receiver = await receive(answering(b"HTTP/1.1 %d X%b" % (status, end)))
    assert (await deliver(receiver.url()))[0] == status


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 415, 429, 500, 503, 599])
async def test_rows_26_27_28_failure_is_an_answer_not_an_error(receive, answering, deliver, status):
    answer = b"HTTP/1.1 %d X\r\nRetry-After: 120\r\ncontent-length: 2\r\n\r\nno" % status
    receiver = await receive(answering(answer))
    got, headers, body = await deliver(receiver.url())
    assert (got, headers["retry-after"], body) == (status, "120", b"no")


async def test_row_24_no_redirect_is_followed(receive, answering, deliver, opened):
    answer = b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
    receiver = await receive(answering(answer))
    assert (await deliver(receiver.url()))[0] == 307
    assert opened == [("127.0.0.1", receiver.port)]


async def test_s11b_refusal_of_a_name_is_the_same_whatever_it_resolves_to(names, deliver, opened):
    told = set()
    for address in ("10.9.8.7", "169.254.169.254", "224.0.0.1"):
        with pytest.raises((SendError, httpx.ConnectError)) as caught:
            await deliver("http://hook.example/", allow=(), resolver=names(hook_example=[[address]]))
        told.add(str(caught.value))
    assert len(told) == 1
    assert opened == []


async def test_s11b_refusal_names_the_rule_and_no_address(names, deliver, opened):
    with pytest.raises((SendError, httpx.ConnectError), match="not allowed") as caught:
        await deliver("http://hook.example/", allow=(), resolver=names(hook_example=[["10.9.8.7"]]))
    cause = caught.value if isinstance(caught.value, SendError) else caught.value.__cause__
    assert isinstance(cause, SendError)
    assert cause.rule is SinkRule.NOT_PUBLIC
    assert "10.9.8.7" not in str(caught.value)
    assert opened == []
