"""Verifies with standardwebhooks: on standard input {headers, body (Base64), secrets}; prints what each secret says."""

import base64
import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError


def good(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    raw = base64.b64decode(asked["body"])
    print(json.dumps([good(secret, raw, asked["headers"]) for secret in asked["secrets"]]))
