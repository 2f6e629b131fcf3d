"""Verifying a webhook the way a subscriber does: by the `standardwebhooks` library and by plain HMAC."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from gateway.errors import UsageError
from schemas.trace_context import is_traceparent


class Verdict(StrEnum):
    """What came of checking one signature."""

    GOOD = "verified"
    BAD = "not verified"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """The verdict on one signature, and why it is not good."""

    verdict: Verdict
    reason: str = ""

    @property
    def good(self) -> bool:
        """Whether the signature was checked and is right."""
        return self.verdict is Verdict.GOOD


UNCHECKED = Check(Verdict.UNCHECKED)


def check_v1(secret: str, headers: Mapping[str, str], body: bytes) -> Check:
    """Verify by the `standardwebhooks` library: signature over `id.timestamp.body`, at most 5 minutes old."""
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except WebhookVerificationError as error:
        return Check(Verdict.BAD, str(error))
    except ValueError as error:  # a signature or body that the library cannot even decode
        return Check(Verdict.BAD, f"malformed: {error}")
    return Check(Verdict.GOOD)


def check_letta(secret: str, headers: Mapping[str, str], body: bytes) -> Check:
    """Verify `X-Letta-Signature`: hex HMAC-SHA256 of the raw body, keyed with the secret as shown.

    During a rotation the new secret signs `X-Letta-Signature-Next`; either of the two is good.
    """
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    for name in ("x-letta-signature", "x-letta-signature-next"):
        if hmac.compare_digest(headers.get(name, "").encode(), expected.encode()):
            return Check(Verdict.GOOD)
    missing = "x-letta-signature" not in headers
    return Check(
        Verdict.BAD, "no X-Letta-Signature header" if missing else "X-Letta-Signature does not match"
    )


def check_secret(secret: str) -> None:
    """Refuse a secret that no signature can be checked with; raises UsageError."""
    try:
        Webhook(secret)
    except Exception:  # noqa: BLE001 - binascii's error, or a class that the library does not export
        raise UsageError("--secret: must be whsec_ and base64, as the gateway showed it.") from None


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id in a valid `traceparent` (W3C Trace Context, section 3.2), else None."""
    return traceparent.split("-")[1] if traceparent is not None and is_traceparent(traceparent) else None
