"""What every Python peer sends: the same headers and signature as the gateway's (Standard Webhooks)."""

import base64
import hmac
import os
import time

SINK = os.environ["BENCH_SINK"]
REDIS_URL = os.environ["BENCH_REDIS_URL"]
AT_ONCE = int(os.environ["BENCH_AT_ONCE"])
_KEY = base64.b64decode(os.environ["BENCH_SECRET"].removeprefix("whsec_"))


def headers_of(webhook_id: str, body: bytes) -> dict[str, str]:
    """Content type, and the three headers that sign this attempt."""
    timestamp = str(int(time.time()))
    signed = b"%b.%b.%b" % (webhook_id.encode(), timestamp.encode(), body)
    signature = base64.b64encode(hmac.digest(_KEY, signed, "sha256")).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
