"""Verifying a webhook the way a subscriber does: by the helpers of `schemas.signatures`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.errors import UsageError
from schemas.signatures import BadSignature, secret_key, verify_letta_headers, verify_webhook
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
    """Verify by Standard Webhooks: signature over `id.timestamp.body`, at most 5 minutes old."""
    try:
        verify_webhook(headers, body, secret)
    except BadSignature as bad:
        return Check(Verdict.BAD, str(bad))
    return Check(Verdict.GOOD)


def check_letta(secret: str, headers: Mapping[str, str], body: bytes) -> Check:
    """Verify `X-Letta-Signature`; during a rotation `X-Letta-Signature-Next` is as good."""
    try:
        verify_letta_headers(headers, body, secret)
    except BadSignature as bad:
        return Check(Verdict.BAD, str(bad))
    return Check(Verdict.GOOD)


def check_secret(secret: str) -> None:
    """Refuse a secret that no signature can be checked with; raises UsageError."""
    try:
        secret_key(secret)
    except ValueError as error:
        raise UsageError(f"--secret: {error}, as the gateway showed it.") from None


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id in a valid `traceparent` (W3C Trace Context, section 3.2), else None."""
    return traceparent.split("-")[1] if traceparent is not None and is_traceparent(traceparent) else None
