"""The least of HTTP that the receiver has to understand, and how a signature in it is checked: pure functions.

It searches for the three things it needs instead of parsing: with two cores the receiver shares them with
what is measured, so every microsecond here would be taken for the sender's.
"""

from __future__ import annotations

from schemas.signatures import verify_v1

_HEAD_END = b"\r\n\r\n"
# Clients spell it in one of these two ways.
_LENGTHS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_WEBHOOK_ID = b"\r\nwebhook-id: "
_SENT = b'"sent_at_us":"'
SENT_DIGITS = 16


def request_end(buffer: bytes, start: int) -> int:
    """Where the request that starts there ends; 0 where it is not whole yet. Without a length it has no body."""
    head = buffer.find(_HEAD_END, start)
    if head < 0:
        return 0
    length = 0
    for spelling in _LENGTHS:
        at = buffer.find(spelling, start, head)
        if at >= 0:
            at += len(spelling)
            length = int(buffer[at : buffer.find(b"\r", at)])
            break
    end = head + len(_HEAD_END) + length
    return end if end <= len(buffer) else 0


def webhook_id(buffer: bytes, start: int, end: int) -> bytes:
    """The value of `webhook-id`; empty where there is none."""
    at = buffer.find(_WEBHOOK_ID, start, end)
    if at < 0:
        return b""
    at += len(_WEBHOOK_ID)
    return buffer[at : buffer.find(b"\r", at)]


def sent_at_us(buffer: bytes, start: int, end: int) -> int:
    """When the event was handed over, by the clock of `now_us`; 0 where the body does not say."""
    at = buffer.find(_SENT, start, end)
    return int(buffer[at + len(_SENT) : at + len(_SENT) + SENT_DIGITS]) if at >= 0 else 0


def verify(request: bytes, secret: str, now_s: float) -> None:
    """Check the Standard Webhooks signature of a whole request; raises BadSignature."""
    head, _, body = request.partition(_HEAD_END)
    lines = (line.partition(b": ") for line in head.split(b"\r\n")[1:])
    headers = {name.lower().decode(): value.decode() for name, _, value in lines}
    verify_v1(
        secret,
        id=headers.get("webhook-id", ""),
        timestamp=headers.get("webhook-timestamp", ""),
        signature=headers.get("webhook-signature", ""),
        body=body,
        now_s=now_s,
    )
